//! Every rule and every refusal of protocol.md §3.3 to §3.11, against one fixture that checks the invariants after each change.

mod appends;
mod attach;
mod commit;
mod events;
mod fixture;
mod groups;
mod invariants;
mod publication;
mod random;
mod requests;
mod restore;
mod slots;
mod streams;
mod supersede;
mod transactions;
