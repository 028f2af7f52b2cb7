//! A page as its daemon sees it: an address with a code, a token, a socket.
#![allow(dead_code)] // Each test uses a part of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::Person;

/// A frame that has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a page is opened.
pub(crate) struct Address {
    pub(crate) port: u16,
    pub(crate) code: String,
}

impl Address {
    pub(crate) fn of(url: &str) -> Self {
        let rest = url.strip_prefix("http://127.0.0.1:").expect("an address of this machine");
        let (port, code) = rest.split_once("/#code=").expect("a code in the fragment");
        Self { port: port.parse().expect("a port"), code: code.to_owned() }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.host())
    }

    /// Status and body of a code's redemption.
    pub(crate) fn session(&self, code: &str, origin: Option<&str>) -> (u16, Value) {
        let body = json!({ "code": code }).to_string();
        let origin = origin.map_or(String::new(), |origin| format!("Origin: {origin}\r\n"));
        let host = self.host();
        let (status, _, body) = self.http(&format!(
            "POST /v1/session HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    /// The token for this address's code.
    pub(crate) fn token(&self) -> String {
        let (status, body) = self.session(&self.code, Some(&self.origin()));
        assert_eq!(status, 200, "{body}");
        body["token"].as_str().expect("a token").to_owned()
    }

    /// Status, head in lower case, and body.
    pub(crate) fn get(&self, path: &str, host: &str) -> (u16, String, String) {
        self.http(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    /// Status and body of what a page says last: `POST /v1/draft`.
    pub(crate) fn draft(&self, token: &str, origin: &str, draft: &Value) -> (u16, Value) {
        let (host, body) = (self.host(), draft.to_string());
        let (status, _, body) = self.http(&format!(
            "POST /v1/draft HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    fn http(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(request.as_bytes()).expect("writes");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
        let head = head
            .lines()
            .map(|line| match line.split_once(": ") {
                Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
                None => line.to_owned(),
            })
            .collect::<Vec<_>>();
        (status, head.join("\n"), body.to_owned())
    }
}

/// A socket.
pub(crate) struct Tab {
    runtime: Runtime,
    socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    /// The first of its kind.
    pub(crate) welcome: Value,
    /// What came while something else was waited for.
    unread: Vec<Value>,
    next_id: u64,
}

impl Tab {
    /// A socket that has said nothing; or the status with which it was refused.
    pub(crate) fn connect(address: &Address, origin: Option<&str>) -> Result<Self, u16> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let url = format!("ws://{}/v1/socket", address.host());
        let mut request = url.into_client_request().expect("an address");
        let head = request.headers_mut();
        head.insert("Sec-WebSocket-Protocol", HeaderValue::from_static("xchat.1"));
        if let Some(origin) = origin {
            head.insert("Origin", HeaderValue::from_str(origin).expect("an origin"));
        }
        let connected = match runtime.block_on(connect_async(request)) {
            Err(Error::Http(answer)) => return Err(answer.status().as_u16()),
            connected => connected,
        };
        let (socket, answer) = connected.expect("an answer");
        assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], "xchat.1");
        Ok(Self { runtime, socket, welcome: Value::Null, unread: Vec::new(), next_id: 100 })
    }

    /// A page that has shown its token and was welcomed.
    pub(crate) fn hello(address: &Address, token: &str, after: Option<u64>) -> Self {
        let mut tab = Self::connect(address, Some(&address.origin())).expect("a socket");
        tab.say(json!({ "type": "hello", "token": token, "after": after }));
        tab.welcome = tab.until(|frame| frame["type"] == "welcome");
        tab
    }

    pub(crate) fn say(&mut self, frame: Value) {
        self.say_text(&frame.to_string());
    }

    pub(crate) fn say_text(&mut self, text: &str) {
        // It may hang up in the middle of what it does not want to hear.
        let _ = self.runtime.block_on(self.socket.send(Message::text(text)));
    }

    /// The next frame; `None` when the socket has ended.
    fn next(&mut self) -> Option<Value> {
        let read = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Some(serde_json::from_str(&text).expect("JSON"));
                    }
                    Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        };
        self.runtime.block_on(async { timeout(PATIENCE, read).await }).expect("a frame in time")
    }

    /// The next frame that is wanted, of those that nobody has wanted yet.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.unread.iter().position(&wanted) {
            return self.unread.remove(at);
        }
        loop {
            let frame = self.next().expect("the socket is open");
            if wanted(&frame) {
                return frame;
            }
            self.unread.push(frame);
        }
    }

    pub(crate) fn until_profile(&mut self, state: &str) -> Value {
        self.until(|frame| frame["type"] == "welcome" && frame["profile"] == state)
    }

    /// A frame with an id: the response to it, or the code of the error.
    pub(crate) fn request(&mut self, mut frame: Value) -> Result<Value, String> {
        self.next_id += 1;
        let id = self.next_id;
        frame["id"] = json!(id);
        self.say(frame);
        let answer = self.until(|frame| frame["id"] == id);
        match answer["type"].as_str() {
            Some("response") => Ok(answer["response"].clone()),
            _ => Err(answer["error"]["code"].as_str().expect("a code").to_owned()),
        }
    }

    pub(crate) fn ask(&mut self, command: Value) -> Result<Value, String> {
        self.request(json!({ "type": "command", "command": command }))
    }

    pub(crate) fn contact(&mut self, name: &str) -> Value {
        let listed = self.ask(json!({ "command": "contacts" })).expect("a list");
        let contacts = listed["contacts"].as_array().expect("a list");
        let found = contacts.iter().find(|contact| contact["name"] == name);
        found.expect("a contact")["contact"].clone()
    }

    /// Id, number and text of the next messages that somebody has said.
    pub(crate) fn messages(&mut self, count: usize) -> Vec<(u64, u64, String)> {
        let number = |value: &Value| value.as_u64().expect("a number");
        let message = |_| {
            let frame = self.until(|frame| frame["event"]["event"] == "message");
            let event = &frame["event"];
            let text = event["text"].as_str().expect("a text").to_owned();
            (number(&event["id"]), number(&event["seq"]), text)
        };
        (0..count).map(message).collect()
    }

    /// Why the socket ended: the code of an error that is about itself, if it said one.
    pub(crate) fn last_words(&mut self) -> Option<String> {
        let mut words = None;
        while let Some(frame) = self.next() {
            if frame["type"] == "error" && frame["id"].is_null() {
                words = frame["error"]["code"].as_str().map(str::to_owned);
            }
        }
        words
    }

    /// Reads until the socket ends; how many responses came.
    pub(crate) fn read_to_the_end(&mut self) -> usize {
        let mut responses = 0;
        while let Some(frame) = self.next() {
            responses += usize::from(frame["type"] == "response");
        }
        responses
    }
}

/// How many messages a person has with a contact.
pub(crate) fn messages_in(person: &Person, contact: &str) -> usize {
    person.ok(&["read", contact, "--limit", "0"]).len()
}
