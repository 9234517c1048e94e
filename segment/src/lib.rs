//! Everything of Sluice that lies on a disk: the log, the store over it, and the Parquet files that old events move to.
//!
//! In reading order:
//! * [`env`](mod@env): files, threads, time and randomness behind traits, so that the same code runs in a simulation;
//! * [`log`]: frames of blocks and facts, checksummed, one writer; the truth of a store. Its rule of the tail decides what a crash may take;
//! * [`snapshot`]: the whole ledger as of one frame, so that the log can be trimmed and the index thrown away;
//! * [`store`]: [`store::EmbeddedStore`], one sequencer that runs the rules of `sluice-txn`, writes a frame, syncs, applies it to the
//!   index and answers; recovery; maintenance;
//! * [`cache`]: recent blocks in memory;
//! * [`parquet`]: one file per published range of a segment; [`tier`]: the task that publishes;
//! * [`verify`]: every checksum, the index against the log, the ledger against its invariants;
//! * [`backup`]: a consistent copy of a running store, and its restoration under a new timeline;
//! * [`format`](mod@format), [`lock`]: whose data directory this is, and which version.
//!
//! What holds:
//! * an answer that promises durability comes after the fdatasync that covers it; after a failed write or sync nothing is answered
//!   any more and the process is told to end;
//! * readers see durable state only;
//! * a byte that was durable is read as it was written or its reading fails, naming file and position; nothing is repaired or cut
//!   silently but what a crash left behind the last durable frame;
//! * the index is never the only home of a fact;
//! * a file becomes visible under its name only when it is whole and durable.
//!
//! It knows nothing of the wire, and of what events mean no more than their schema: which rows may be appended, committed or
//! published is decided by the rules in `sluice_txn::protocol`.

pub mod backup;
pub mod cache;
pub mod env;
pub mod format;
pub mod lock;
pub mod log;
pub mod parquet;
pub mod snapshot;
pub mod store;
pub mod tier;
pub mod verify;
