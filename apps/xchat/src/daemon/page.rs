//! The page: `web/app/dist`, in the binary.
//!
//! A debug build reads the files from where they lie, so that a page that was built anew is there at once.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::guard;
use super::routes::Shared;

#[derive(RustEmbed)]
#[folder = "../../web/app/dist/"]
#[allow_missing = true]
struct Files;

/// The daemon's own requests stand below this, and no file does.
const REQUESTS: &str = "/v1/";

const INDEX: &str = "index.html";

/// Files with a hash of their contents in their names.
const HASHED: &str = "assets/";

const NOT_BUILT: &str = "xchat: the page was not built. Run `./x build`, then open it again.\n";

/// Answers what asks for a part of the page; everything else goes on.
pub(super) async fn serve(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Some(name) = asked(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    if let Err(refusal) = guard::right_place(request.headers(), shared.port) {
        return guard::turn_away(&shared, refusal);
    }
    let mut response = match Files::get(&name) {
        Some(file) => {
            let head = [
                (header::CONTENT_TYPE, content_type(&name)),
                (header::CACHE_CONTROL, cache_control(&name)),
            ];
            (head, file.data).into_response()
        }
        None => {
            let head = [
                (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
                (header::CACHE_CONTROL, "no-cache"),
            ];
            (StatusCode::SERVICE_UNAVAILABLE, head, NOT_BUILT).into_response()
        }
    };
    protect(response.headers_mut(), shared.port);
    response
}

/// The name of a file of the page.
fn asked(method: &Method, path: &str) -> Option<String> {
    if !matches!(*method, Method::GET | Method::HEAD) || path.starts_with(REQUESTS) {
        return None;
    }
    let name = path.strip_prefix('/')?;
    if name.is_empty() {
        return Some(INDEX.to_owned());
    }
    Files::get(name).map(|_| name.to_owned())
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn cache_control(name: &str) -> &'static str {
    if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" }
}

/// What the page may do in the browser: talk to its daemon, and nothing else.
fn protect(headers: &mut HeaderMap, port: u16) {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
         connect-src 'self' ws://127.0.0.1:{port}; font-src 'self'; manifest-src 'self'; \
         worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::try_from(policy).expect("letters, digits and punctuation");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    let fixed: [(HeaderName, &str); 5] = [
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Nothing that a browser asks a person for. The camera would be for reading an invitation: pictures are picked
/// as files instead.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), display-capture=(), \
    encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), \
    magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), \
    screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reading_asks_for_the_page_and_its_requests_are_not_files() {
        assert_eq!(asked(&Method::GET, "/").as_deref(), Some(INDEX));
        assert_eq!(asked(&Method::HEAD, "/").as_deref(), Some(INDEX));
        assert_eq!(asked(&Method::POST, "/"), None);
        for path in ["/v1/alive", "/v1/", "/nothing", "/../Cargo.toml", "//etc/passwd", "/%2e%2e"] {
            assert_eq!(asked(&Method::GET, path), None, "{path}");
        }
    }

    #[test]
    fn what_may_change_is_asked_for_again() {
        assert_eq!(cache_control(INDEX), "no-cache");
        assert!(cache_control("assets/index-4f.js").contains("immutable"));
    }
}
