//! The protocol of Sluice in front of a model checker and of a seeded simulation: the shipping rules, not a copy of them.
//!
//! Every change of the ledger is made by a function of `sluice_txn::protocol`, called through [`ledger::Ledger::run`]. What is
//! modelled here is the world outside the gateway: Flink jobs that crash, restore and rescale, messages that are late or come twice,
//! people who restore old savepoints, producers and publishers.
//!
//! In reading order:
//! * [`ids`], [`event`]: small names for everything, minted deterministically;
//! * [`ledger`]: the one door to the rules;
//! * [`world`], [`job`], [`plain`], [`publisher`]: one state;
//! * [`action`], [`enabled`], [`step`]: what can happen, when, and what it does; each call is held against what is right for it;
//! * [`oracle`]: what must hold of the data, in each state and after each change, and the progress check;
//! * [`config`], [`configurations`]: bounds and the named searches;
//! * [`search`]: the exhaustive search; [`simulation`], [`faults`], [`rng`]: the seeded one.
//!
//! Not modelled: clocks that matter (an idle open transaction may end at any time; two jobs in turn are never refused as flapping),
//! an operator's abort (no rule of the protocol does it yet), reader groups, a store that was restored from a backup, scale during a
//! transaction, truncation, appends of several writers in one block.

pub mod action;
pub mod config;
pub mod configurations;
pub mod enabled;
pub mod event;
pub mod faults;
pub mod ids;
pub mod job;
pub mod ledger;
pub mod oracle;
pub mod plain;
pub mod publisher;
pub mod rng;
pub mod search;
pub mod setup;
pub mod simulation;
pub mod step;
pub mod world;
