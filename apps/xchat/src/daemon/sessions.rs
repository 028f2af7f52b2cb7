//! Who of the pages may talk to the daemon.
//!
//! A command that holds the card asks for a *code*, which stands in the address of a page for a moment. The page
//! hands it in for a *token* and keeps that. A code works once; of a token the daemon keeps a hash only, on its
//! disk, so that a page goes on after a restart.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use xchat_base::{Rng, id};
use xchat_client::files;

use super::guard::new_token;

/// A browser opens a page within seconds.
const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// Codes at a time: somebody who opens pages faster than they load.
const MAX_CODES: usize = 16;

/// Browsers that a person has opened the page in. Beyond it, the one that came least lately is forgotten.
const MAX_PAGES: usize = 32;

/// What is kept of a code or a token. Both are 32 random bytes, so nobody guesses them from it.
type Print = [u8; 32];

/// See the module's page.
pub(super) struct Sessions {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    codes: VecDeque<(Print, Instant)>,
    /// The last one that came stands last.
    tokens: VecDeque<Print>,
}

/// `pages.json`.
#[derive(Serialize, Deserialize)]
struct Kept {
    tokens: Vec<String>,
}

impl Sessions {
    /// What the file in the profile's directory says. A file that others can read or that is damaged counts for
    /// nothing: its pages are opened anew.
    pub(super) fn load(profile: &Path) -> Self {
        let path = profile.join("pages.json");
        let tokens = read(&path).unwrap_or_default();
        Self { path, known: Mutex::new(Known { codes: VecDeque::new(), tokens }) }
    }

    /// A code for one page.
    pub(super) fn new_code(&self, rng: &mut Rng) -> String {
        let code = new_token(rng);
        let mut known = self.known();
        forget_old(&mut known.codes);
        if known.codes.len() >= MAX_CODES {
            known.codes.pop_front();
        }
        known.codes.push_back((print(&code), Instant::now()));
        code
    }

    /// Takes a code; the token that is given for it is on the disk. `None` if it is not one, or not any more.
    pub(super) fn redeem(&self, code: &str, rng: &mut Rng) -> io::Result<Option<String>> {
        let given = print(code);
        let mut known = self.known();
        forget_old(&mut known.codes);
        let Some(at) = known.codes.iter().position(|(code, _)| same(code, &given)) else {
            return Ok(None);
        };
        known.codes.remove(at);
        let token = new_token(rng);
        if known.tokens.len() >= MAX_PAGES {
            known.tokens.pop_front();
        }
        known.tokens.push_back(print(&token));
        let kept = Kept { tokens: known.tokens.iter().map(|print| id::hex(print)).collect() };
        files::replace_file(&self.path, serde_json::to_string(&kept)?.as_bytes())?;
        Ok(Some(token))
    }

    /// Whether a page was given this token.
    pub(super) fn knows(&self, token: &str) -> bool {
        let given = print(token);
        let mut known = self.known();
        let Some(at) = known.tokens.iter().position(|token| same(token, &given)) else {
            return false;
        };
        // Kept with the next token that is given: what is lost with a crash is an order.
        if let Some(token) = known.tokens.remove(at) {
            known.tokens.push_back(token);
        }
        true
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_old(codes: &mut VecDeque<(Print, Instant)>) {
    codes.retain(|(_, made)| made.elapsed() < CODE_LIFETIME);
}

fn print(secret: &str) -> Print {
    Sha256::digest(secret.as_bytes()).into()
}

fn same(one: &Print, other: &Print) -> bool {
    one.ct_eq(other).into()
}

fn read(path: &Path) -> Option<VecDeque<Print>> {
    if std::fs::metadata(path).ok()?.permissions().mode() & 0o077 != 0 {
        return None;
    }
    let kept: Kept = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    let print = |text: &String| {
        let mut print = Print::default();
        id::unhex(text, &mut print).map(|()| print)
    };
    let mut tokens: VecDeque<_> = kept.tokens.iter().filter_map(print).collect();
    while tokens.len() > MAX_PAGES {
        tokens.pop_front();
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;

    fn page(sessions: &Sessions) -> String {
        let code = sessions.new_code(&mut OsRng);
        sessions.redeem(&code, &mut OsRng).expect("writes").expect("a token")
    }

    #[test]
    fn a_code_works_once_and_its_token_survives_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let sessions = Sessions::load(dir.path());
        let code = sessions.new_code(&mut OsRng);
        let token = sessions.redeem(&code, &mut OsRng).expect("writes").expect("a token");
        assert_eq!(sessions.redeem(&code, &mut OsRng).expect("reads"), None, "a second time");
        assert_eq!(sessions.redeem("", &mut OsRng).expect("reads"), None);
        assert!(sessions.knows(&token) && !sessions.knows(&code) && !sessions.knows(""));
        let text = std::fs::read_to_string(dir.path().join("pages.json")).expect("a file");
        assert!(!text.contains(&token));
        let again = Sessions::load(dir.path());
        assert!(again.knows(&token) && !again.knows("other"));
    }

    #[test]
    fn pages_and_codes_are_bounded_and_who_came_lately_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let sessions = Sessions::load(dir.path());
        let (first, second) = (page(&sessions), page(&sessions));
        for _ in 2..MAX_PAGES {
            page(&sessions);
        }
        assert!(sessions.knows(&first));
        page(&sessions);
        assert!(sessions.knows(&first) && !sessions.knows(&second));
        let codes: Vec<_> = (0..=MAX_CODES).map(|_| sessions.new_code(&mut OsRng)).collect();
        assert_eq!(sessions.redeem(&codes[0], &mut OsRng).expect("reads"), None);
        assert!(sessions.redeem(&codes[1], &mut OsRng).expect("writes").is_some());
    }

    #[test]
    fn a_list_that_others_can_read_counts_for_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let token = page(&Sessions::load(dir.path()));
        let path = dir.path().join("pages.json");
        let exposed = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&path, exposed).expect("ours");
        assert!(!Sessions::load(dir.path()).knows(&token));
    }
}
