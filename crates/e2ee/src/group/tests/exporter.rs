//! `spec/vectors/exporter.json`: what the members of a group derive from an epoch's exporter secret, for whoever writes a
//! second implementation. OpenMLS gives that secret to nobody; here it is taken out of the group's stored state.

use ciborium::Value;
use serde::{Deserialize, Serialize};
use xchat_base::id;

use super::{Group, pair, rng};
use crate::storage::EPOCH_SECRETS;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/exporter.json");

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Vectors {
    section: String,
    epochs: Vec<Epoch>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Epoch {
    exporter_secret: String,
    exports: Vec<Export>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Export {
    label: String,
    context: String,
    secret: String,
}

/// The bytes below these names in a stored value.
fn bytes_at(value: &Value, path: &[&str]) -> Vec<u8> {
    match (value, path) {
        (Value::Map(fields), [name, rest @ ..]) => {
            let field = fields.iter().find(|(key, _)| key.as_text() == Some(name));
            bytes_at(&field.expect("a field of this name").1, rest)
        }
        // A wrapper around the bytes.
        (Value::Map(fields), []) => bytes_at(&fields.first().expect("the bytes").1, path),
        (Value::Bytes(bytes), []) => bytes.clone(),
        (Value::Array(items), []) => {
            let byte = |item: &Value| item.as_integer().and_then(|byte| u8::try_from(byte).ok());
            items.iter().map(|item| byte(item).expect("a byte")).collect()
        }
        (other, path) => panic!("{path:?} is not in {other:?}"),
    }
}

fn epoch(group: &Group) -> Epoch {
    let stored: Value = group.storage.get(&[EPOCH_SECRETS]).expect("readable").expect("stored");
    let secret = bytes_at(&stored, &["exporter_secret", "secret", "value"]);
    let export = |(label, context): (&str, Vec<u8>)| Export {
        label: label.to_owned(),
        context: id::hex(&context),
        secret: id::hex(group.export(label, &context).expose()),
    };
    let lane = |leaf: u32| ("lane", leaf.to_be_bytes().to_vec());
    let all = [lane(0), lane(1), ("commit lane", Vec::new()), ("rejoin", Vec::new())];
    Epoch { exporter_secret: id::hex(&secret), exports: all.map(export).into() }
}

/// `XCHAT_VECTORS=write` writes them anew.
#[test]
#[allow(clippy::disallowed_methods)] // A file of the repository, and no core's.
fn the_vectors_are_what_is_exported() {
    let mut rng = rng(77);
    let (mut accepter, inviter) = pair(&mut rng);
    assert_eq!(epoch(&accepter), epoch(&inviter));
    let mut epochs = vec![epoch(&accepter)];
    accepter.begin_update(&mut rng).expect("commits");
    accepter.merge_pending().expect("merges");
    epochs.push(epoch(&accepter));
    assert_ne!(epochs[0].exporter_secret, epochs[1].exporter_secret);
    let made = Vectors { section: "04, 4.5".to_owned(), epochs };
    if std::env::var_os("XCHAT_VECTORS").is_some_and(|what| what == "write") {
        let text = serde_json::to_string_pretty(&made).expect("strings") + "\n";
        std::fs::write(FILE, text).expect("writes");
    }
    let text = std::fs::read_to_string(FILE).expect("the file");
    assert_eq!(serde_json::from_str::<Vectors>(&text).expect("JSON"), made);
}
