//! The transaction protocol of Sluice and the ledger that holds its state.
//!
//! In reading order:
//! * [`key`]: every key of the ledger, one documented enum with frozen ordinals; the records are in `sluice_proto::storage::v1`;
//! * [`ledger`]: [`ledger::View`] (what a rule may read), [`ledger::Draft`] (what a rule wants to change), the traits
//!   [`ledger::Ledger`], [`ledger::Store`] and [`ledger::Index`], the indexes over a `BTreeMap` and over sled, and the
//!   conformance suite that each of them passes;
//! * [`protocol`]: the rules. Each is a function over a draft, a command and the time; it either changes the draft and
//!   answers, or refuses and the draft is thrown away. No input or output, no clock, no runtime.
//!
//! Invariants kept here: offsets of a segment are dense and given at commit; a prepared transaction ends only by a commit,
//! by a later group of its slot, or by an operator; the committed groups of a sink form one chain.

pub mod key;
pub mod ledger;
pub mod protocol;
