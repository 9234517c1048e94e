//! Bad input over the wire, against the real process: each time one clear typed error, nothing changed, and the gateway goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "identities against a real process are random")]

mod appends;
mod blocks;
mod disk_full;
mod names;
mod start;
#[path = "../support/mod.rs"]
mod support;
mod transactions;
mod unknown;
mod world;
