//! How a page gets in and goes, and how a profile is opened.

use std::path::PathBuf;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rand_core::OsRng;
use serde::Deserialize;
use serde_json::json;
use xchat_client::{Command, Face, Passphrase};

use super::super::guard;
use super::super::socket::frames::{SessionRequest, SessionResponse};
use super::{Shared, failed, not_open, read, refuse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeRequest {
    /// A new profile would be in this network.
    network: Option<PathBuf>,
}

/// A code for a page that the person is about to open.
pub(super) async fn code(State(shared): State<Shared>, body: Body) -> Response {
    match read(body).await {
        Ok(CodeRequest { network }) => {
            if let Some(path) = network {
                shared.keeper.set_network(path);
            }
            Json(json!({ "code": shared.sessions.new_code(&mut OsRng) })).into_response()
        }
        Err(refusal) => refusal,
    }
}

/// A page hands in its code.
pub(super) async fn session(State(shared): State<Shared>, body: Body) -> Response {
    let given: SessionRequest = match read(body).await {
        Ok(given) => given,
        Err(refusal) => return refusal,
    };
    match shared.sessions.redeem(&given.code, &mut OsRng) {
        Ok(Some(token)) => {
            ([(header::CACHE_CONTROL, "no-store")], Json(SessionResponse { token })).into_response()
        }
        Ok(None) => {
            let message = "the code is wrong, was used before, or is too old";
            guard::turn_away(&shared, (StatusCode::UNAUTHORIZED, "wrong_code", message))
        }
        Err(error) => {
            let message = format!("the page cannot be remembered: {error}");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "io", &message).into_response()
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnlockRequest {
    passphrase: String,
}

pub(super) async fn unlock(State(shared): State<Shared>, body: Body) -> Response {
    let given: UnlockRequest = match read(body).await {
        Ok(given) => given,
        Err(refusal) => return refusal,
    };
    match shared.keeper.unlock(Passphrase::new(given.passphrase)).await {
        Ok(()) => Json(json!({})).into_response(),
        Err(error) => not_open(error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftRequest {
    contact: String,
    text: String,
    face: Face,
}

/// What was being written in a page that is going away: a browser may close the page's socket before what was said last
/// is on it, and sends a request all the same.
pub(super) async fn draft(State(shared): State<Shared>, body: Body) -> Response {
    let DraftRequest { contact, text, face } = match read(body).await {
        Ok(given) => given,
        Err(refusal) => return refusal,
    };
    let client = match shared.keeper.client() {
        Ok(client) => client,
        Err(error) => return not_open(error),
    };
    match client.command(Command::SetDraft { contact, text, face }, None).await {
        Ok(response) => Json(response).into_response(),
        Err(error) => failed(&error),
    }
}
