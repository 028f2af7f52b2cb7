//! Who may talk to the daemon.
//!
//! Everything on this machine can open a connection to it, also a page in the person's browser. So a
//! request needs the token, which other users cannot read; its `Host` must be the daemon's own, so that
//! a name that somebody points at 127.0.0.1 does not make a foreign page's request a local one (DNS
//! rebinding); and an `Origin`, which browsers set and pages cannot, must be the daemon's own.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;
use xchat_base::{Rng, id};

use super::door::Caller;
use super::routes::{Shared, refuse};

/// A fresh token: 32 random bytes in hexadecimal.
pub(super) fn new_token(rng: &mut Rng) -> String {
    let mut bytes = [0u8; 32];
    rng.fill_bytes(&mut bytes);
    id::hex(&bytes)
}

pub(super) async fn check(
    State(shared): State<Shared>,
    Extension(caller): Extension<Arc<Caller>>,
    request: Request,
    next: Next,
) -> Response {
    let allowed = allowed(request.headers(), &shared.token, shared.port);
    if allowed.is_err() {
        shared.door.refused();
    }
    let checked = allowed.and_then(|()| {
        let message = "too many connections are open";
        let refusal = (StatusCode::SERVICE_UNAVAILABLE, "too_many", message);
        if caller.prove() { Ok(()) } else { Err(refusal) }
    });
    match checked {
        Ok(()) => {
            let mut response = next.run(request).await;
            let no_store = header::HeaderValue::from_static("no-store");
            response.headers_mut().insert(header::CACHE_CONTROL, no_store);
            response
        }
        // Whoever was refused does not stay, and nothing else of what they send is read.
        Err((status, code, message)) => {
            ([(header::CONNECTION, "close")], refuse(status, code, message)).into_response()
        }
    }
}

type Refusal = (StatusCode, &'static str, &'static str);

fn allowed(headers: &HeaderMap, token: &str, port: u16) -> Result<(), Refusal> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let own = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let host = text(header::HOST).unwrap_or_default();
    if !own.iter().any(|own| own == host) {
        return Err((StatusCode::FORBIDDEN, "foreign_host", "this host is not the daemon's"));
    }
    if let Some(origin) = text(header::ORIGIN)
        && !own.iter().any(|own| origin.strip_prefix("http://") == Some(own))
    {
        return Err((StatusCode::FORBIDDEN, "foreign_origin", "this origin is not the daemon's"));
    }
    let given = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let given = given.unwrap_or_default().as_bytes();
    if !bool::from(given.ct_eq(token.as_bytes())) {
        return Err((StatusCode::UNAUTHORIZED, "wrong_token", "the token is missing or wrong"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    fn code(pairs: &[(&'static str, &'static str)]) -> Option<&'static str> {
        allowed(&headers(pairs), "abc", 4000).err().map(|(_, code, _)| code)
    }

    #[test]
    fn token_host_and_origin_must_all_be_right() {
        let host = ("host", "127.0.0.1:4000");
        let token = ("authorization", "Bearer abc");
        assert_eq!(code(&[host, token]), None);
        assert_eq!(code(&[("host", "localhost:4000"), token]), None);
        assert_eq!(code(&[host, token, ("origin", "http://127.0.0.1:4000")]), None);
        assert_eq!(code(&[host]), Some("wrong_token"));
        assert_eq!(code(&[host, ("authorization", "Bearer abcd")]), Some("wrong_token"));
        assert_eq!(code(&[token]), Some("foreign_host"));
        assert_eq!(code(&[("host", "evil.example:4000"), token]), Some("foreign_host"));
        assert_eq!(code(&[("host", "127.0.0.1:4001"), token]), Some("foreign_host"));
        let evil = [host, token, ("origin", "http://evil.example")];
        assert_eq!(code(&evil), Some("foreign_origin"));
        assert_eq!(code(&[host, token, ("origin", "null")]), Some("foreign_origin"));
    }
}
