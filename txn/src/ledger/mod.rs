//! Where facts live.
//!
//! * [`View`]: reads of one consistent state; all that a rule sees.
//! * [`Draft`]: a view with changes of its own on top; what a rule writes to. Thrown away when the rule refuses.
//! * [`Index`]: an ordered map that remembers the number of the last log frame it holds; rebuilt from the log at any time.
//! * [`Ledger`]: versioned keys with one write verb, all or nothing. The contract of engines that are shared by gateways.
//! * [`Store`]: facts and bytes together.

pub mod conformance;
mod draft;
mod memory;
mod records;
mod sled_index;

use bytes::Bytes;
use sluice_proto::storage::v1::BlockRef;

pub use draft::{Draft, Overlay};
pub use memory::MemoryIndex;
pub use records::Records;
pub use sled_index::SledIndex;

use crate::key::{KeySpan, RawKey};

/// Number of a log frame, from 1; 0 stands for "before the first".
pub type Lsn = u64;

/// The state could not be read or written. Never a statement about what the state is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The engine below failed.
    #[error("the ledger's {engine} failed: {message}")]
    Engine {
        /// Which engine.
        engine: &'static str,
        /// What it said.
        message: String,
    },
    /// A stored value does not decode.
    #[error("the ledger's entry {key} is damaged: {message}")]
    Damaged {
        /// The key, for people.
        key: String,
        /// Why it does not decode.
        message: String,
    },
}

/// Result of reading the ledger.
pub type Result<T> = std::result::Result<T, Error>;

/// In which direction a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the first key on.
    Ascending,
    /// From the last key back.
    Descending,
}

/// Called for each entry of a scan; `false` ends it.
pub type Visitor<'a> = &'a mut dyn FnMut(&[u8], &Bytes) -> bool;

/// Reads of one consistent state.
pub trait View {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>>;
    /// Visits the entries of a span in order.
    fn scan(&self, span: &KeySpan, direction: Direction, visit: Visitor<'_>) -> Result<()>;
}

/// One change, absolute: applying it twice is harmless. `None` deletes.
pub type Change = (RawKey, Option<Bytes>);

/// An ordered map over the log: it never holds a frame that is not durable in the log, and may be thrown away at any time.
///
/// Applying is not atomic: while [`Index::apply`] runs, and after a crash in it, each of its keys holds what it held or what it
/// is to hold. An implementation MUST say so by [`Index::applying`], and move [`Index::applied`] last.
pub trait Index: View + Send + Sync {
    /// The last frame applied; 0: none.
    fn applied(&self) -> Lsn;
    /// The frame up to which changes are being applied; after a crash in the middle, the one that was to be reached.
    fn applying(&self) -> Option<Lsn>;
    /// Applies the changes of all frames up to `lsn` that are not applied yet. One call at a time.
    fn apply(&self, lsn: Lsn, changes: &[Change]) -> Result<()>;
}

/// What a key must hold for a commit to happen: exactly this value, or nothing.
pub type Precondition = (RawKey, Option<Bytes>);

/// What a [`Ledger::commit`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commit {
    /// All changes are durable.
    Committed(Lsn),
    /// These keys hold something else; nothing changed.
    Conflict(Vec<RawKey>),
}

/// Facts with one write verb, linearizable. All or nothing, durable when it returns.
pub trait Ledger: Send + Sync {
    /// The values of keys, all of one moment that includes every commit acknowledged before the call.
    fn read(&self, keys: Vec<RawKey>) -> impl Future<Output = Result<Vec<Option<Bytes>>>> + Send;
    /// Applies `changes` if every precondition holds.
    ///
    /// Dropping the future leaves the outcome unknown: read again.
    fn commit(
        &self,
        preconditions: Vec<Precondition>,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<Commit>> + Send;
}

/// Makes changes from the places that blocks were given.
pub type ChangesOf = Box<dyn FnOnce(&[BlockRef]) -> Vec<Change> + Send>;

/// Facts and bytes together: blocks are durable no later than the facts that name them.
pub trait Store: Ledger {
    /// Writes blocks, hands their places to `changes`, and commits what that returns if every precondition holds.
    fn write(
        &self,
        blocks: Vec<Block>,
        preconditions: Vec<Precondition>,
        changes: ChangesOf,
    ) -> impl Future<Output = Result<Commit>> + Send;
    /// The bytes of a block, checked.
    fn read_block(&self, at: BlockRef) -> impl Future<Output = Result<Bytes>> + Send;
}

/// The bytes of a block with their CRC-32C, which the caller has checked or computed.
#[derive(Debug, Clone)]
pub struct Block {
    /// One encapsulated Arrow IPC record batch.
    pub data: Bytes,
    /// CRC-32C of `data`.
    pub crc32c: u32,
}
