//! The model has no second implementation of the protocol: its sources write nothing into the ledger themselves, and every rule that
//! changes the ledger is either called by them or named here as not modelled.
//!
//! How far this goes: it reads the sources as text, comments and tests left out. It would not see a rule that is written again
//! over the model's own structures and compared with nothing; the oracles are such structures on purpose, and change no ledger.

use std::{fs, path::Path};

/// The one file that makes drafts and applies them.
const DOOR: &str = "ledger.rs";
/// What only the door may say.
const WRITES: &[&str] =
    &["Draft::new", ".put(", ".delete(", ".delete_raw(", ".delete_span(", "into_changes", "Overlay", "MemoryIndex"];
/// Durable records that only rules make. Groups, blocks and files are not among them: rules take these from their callers.
const RECORDS: &[&str] = &[
    "ActiveTransaction",
    "Cluster",
    "Extent",
    "Request",
    "Scope",
    "Segment",
    "Sink",
    "SinkRun",
    "Slot",
    "SlotFence",
    "Stream",
    "StreamRef",
    "Transaction",
    "UploadIntent",
    "Writer",
];
/// Rules that the model does not call, and why.
const NOT_MODELLED: &[(&str, &str)] = &[
    ("set_timeline", "no store is restored from a backup"),
    ("delete_scope", "nothing is deleted"),
    ("delete_stream", "nothing is deleted"),
    ("seal_stream", "nothing is sealed"),
    ("forget_superseded", "bytes that nobody can name any more"),
    ("forget_old", "answers are remembered for longer than a history lasts"),
    ("create", "reader groups"),
    ("update", "reader groups"),
    ("checkpoint", "reader groups"),
    ("reset", "reader groups"),
    ("delete", "reader groups"),
];

/// The code of a source: no comments, no unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("the sources are readable");
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("the sources are readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            found.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), code(&path)));
        }
    }
    found
}

fn own_sources() -> Vec<(String, String)> {
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// Whether a struct of this name is built: the name as a whole word before a brace.
fn builds(code: &str, record: &str) -> bool {
    let before = |at: usize| code[..at].chars().next_back();
    code.match_indices(&format!("{record} {{"))
        .any(|(at, _)| before(at).is_none_or(|char| !char.is_alphanumeric() && char != '_'))
}

#[test]
fn only_the_door_writes_the_ledger() {
    let sources = own_sources();
    assert!(sources.iter().any(|(name, _)| name == DOOR));
    for (name, code) in sources.iter().filter(|(name, _)| name != DOOR) {
        for word in WRITES {
            assert!(
                !code.contains(word),
                "{name} says `{word}`: only a rule of sluice_txn::protocol may change the ledger"
            );
        }
        for record in RECORDS {
            assert!(!builds(code, record), "{name} builds a `{record}`: only a rule of sluice_txn::protocol may");
        }
    }
}

#[test]
fn every_rule_is_called_or_named_as_not_modelled() {
    let protocol = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../txn/src/protocol");
    let model: String = own_sources().into_iter().map(|(_, code)| code).collect();
    let mut rules = 0;
    for (file, code) in sources(&protocol).into_iter().filter(|(file, _)| file != "mod.rs") {
        for piece in code.split("\npub fn ").skip(1) {
            let Some((name, rest)) = piece.split_once('(') else { continue };
            let parameters = rest.split("->").next().unwrap_or_default();
            if !parameters.contains("&mut Draft") {
                continue;
            }
            rules += 1;
            let called = model.contains(&format!("::{name}("));
            let excused = NOT_MODELLED.iter().any(|(rule, _)| *rule == name);
            assert!(called != excused, "{file}: rule `{name}`: called {called}, named as not modelled {excused}");
        }
    }
    assert!(rules > 20, "only {rules} rules were found: this test reads the sources wrongly");
}

#[test]
fn the_model_knows_neither_files_nor_a_runtime() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    for word in ["tokio", "arrow", "sluice-segment", "sluice-gateway", "sluice-client"] {
        assert!(!manifest.contains(word), "the model depends on {word}");
    }
}

#[test]
fn the_check_sees_what_it_forbids() {
    assert!(builds("let x = Slot { writer_epoch: 1 };", "Slot"));
    assert!(builds("draft.put(&key, &stored::Sink { .. })", "Sink"));
    assert!(!builds("SlotOwner { }", "Slot"));
    assert!(!builds("RequestId { session }", "Request"));
    assert!(!builds("OpenWriter { }", "Writer"));
}
