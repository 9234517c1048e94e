//! No oracle is blind: each is handed a wrong history and must refuse it. Right histories are in `small.rs`.

mod calls;
mod data;
mod history;
mod outcomes;
