//! Who may talk to the daemon.
//!
//! Everything on this machine can open a connection to it, also a page in the person's browser. So a
//! request needs the card's token, which other users cannot read; its `Host` must be the daemon's own, so that
//! a name that somebody points at 127.0.0.1 does not make a foreign page's request a local one (DNS
//! rebinding); and an `Origin`, which browsers set and pages cannot, must be the daemon's own. The page itself has
//! nothing to hide and needs no token; its socket gets one in its first frame, see [`super::sessions`].

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
    match allowed(request.headers(), &shared.token, shared.port) {
        Ok(()) => admit(&caller, request, next).await,
        Err(refusal) => turn_away(&shared, refusal),
    }
}

/// For a page that has a token: what it cannot say by its socket.
pub(super) async fn check_page(
    State(shared): State<Shared>,
    Extension(caller): Extension<Arc<Caller>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let place = right_place(headers, shared.port);
    match place.and_then(|()| shared.sessions.knows(bearer(headers)).then_some(()).ok_or(WRONG)) {
        Ok(()) => admit(&caller, request, next).await,
        Err(refusal) => turn_away(&shared, refusal),
    }
}

async fn admit(caller: &Caller, request: Request, next: Next) -> Response {
    if !caller.prove() {
        let refusal =
            refuse(StatusCode::SERVICE_UNAVAILABLE, "too_many", "too many connections are open");
        return ([(header::CONNECTION, "close")], refusal).into_response();
    }
    let mut response = next.run(request).await;
    let no_store = header::HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}

/// For what needs no token: a page on its way in.
pub(super) async fn check_place(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    match right_place(request.headers(), shared.port) {
        Ok(()) => next.run(request).await,
        Err(refusal) => turn_away(&shared, refusal),
    }
}

/// Whoever was refused does not stay, and nothing else of what they send is read.
pub(super) fn turn_away(shared: &Shared, (status, code, message): Refusal) -> Response {
    shared.door.refused();
    ([(header::CONNECTION, "close")], refuse(status, code, message)).into_response()
}

pub(super) type Refusal = (StatusCode, &'static str, &'static str);

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

pub(super) fn right_place(headers: &HeaderMap, port: u16) -> Result<(), Refusal> {
    let text = |name| text(headers, name);
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
    Ok(())
}

fn allowed(headers: &HeaderMap, token: &str, port: u16) -> Result<(), Refusal> {
    right_place(headers, port)?;
    bool::from(bearer(headers).as_bytes().ct_eq(token.as_bytes())).then_some(()).ok_or(WRONG)
}

const WRONG: Refusal = (StatusCode::UNAUTHORIZED, "wrong_token", "the token is missing or wrong");

/// The token that was given; empty if none was.
fn bearer(headers: &HeaderMap) -> &str {
    let given = text(headers, header::AUTHORIZATION);
    given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
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
