//! Recent blocks in memory, bounded in bytes: what readers at the tail need most of the time.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::log::BlockRef;

/// What the bookkeeping of an entry costs, roughly.
const ENTRY_BYTES: u64 = 128;
/// A shard must hold several of the largest blocks, since it takes none that is larger than itself.
const SHARD_BYTES_MIN: u64 = 64 << 20;
const SHARDS_MAX: u64 = 8;
const TYPICAL_BLOCK_BYTES: u64 = 64 << 10;

/// A cache of blocks by file and position. Shared by reference between threads.
///
/// Only give it blocks whose checksum was verified: it does not look inside. It counts a block's own length; a slice of a much
/// larger buffer keeps the whole buffer alive, so copy such a slice first.
pub struct BlockCache {
    blocks: Cache<(u64, u64), Bytes, ByLength>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<(u64, u64), Bytes> for ByLength {
    fn weight(&self, _at: &(u64, u64), block: &Bytes) -> u64 {
        block.len() as u64 + ENTRY_BYTES
    }
}

impl BlockCache {
    /// A cache of at most `bytes_max` bytes; a block that is larger than an eighth of that may not be kept.
    pub fn new(bytes_max: u64) -> Self {
        let shards = (bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
        let options = OptionsBuilder::new()
            .shards(shards as usize)
            .estimated_items_capacity((bytes_max / TYPICAL_BLOCK_BYTES).max(16) as usize)
            .weight_capacity(bytes_max)
            .build()
            .expect("all options that have no default are set");
        let lifecycle = DefaultLifecycle::default();
        BlockCache {
            blocks: Cache::with_options(options, ByLength, DefaultHashBuilder::default(), lifecycle),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Keeps a block, at the price of others.
    pub fn insert(&self, at: &BlockRef, block: Bytes) {
        self.blocks.insert(key(at), block);
    }

    /// The block, if it is here.
    pub fn get(&self, at: &BlockRef) -> Option<Bytes> {
        let found = self.blocks.get(&key(at));
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Forgets a block.
    pub fn remove(&self, at: &BlockRef) {
        self.blocks.remove(&key(at));
    }

    /// Times that [`BlockCache::get`] found a block.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Times that it did not.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// Bytes held now.
    pub fn bytes(&self) -> u64 {
        self.blocks.weight()
    }
}

fn key(at: &BlockRef) -> (u64, u64) {
    (at.file, at.position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> BlockRef {
        BlockRef { file: 1, position, length: 0, crc32c: 0 }
    }

    #[test]
    fn it_finds_what_it_was_given_and_counts() {
        let cache = BlockCache::new(1 << 20);
        assert_eq!(cache.get(&at(64)), None);
        cache.insert(&at(64), Bytes::from_static(b"abc"));
        assert_eq!(cache.get(&at(64)), Some(Bytes::from_static(b"abc")));
        assert_eq!(cache.get(&BlockRef { file: 2, ..at(64) }), None);
        cache.remove(&at(64));
        assert_eq!(cache.get(&at(64)), None);
        assert_eq!((cache.hits(), cache.misses()), (1, 3));
    }

    /// Ten times its size goes through it: it never holds more than its bound, and holds much of it in the end.
    #[test]
    fn it_stays_within_its_bytes() {
        let bound = 8 << 20;
        let cache = BlockCache::new(bound);
        for n in 0..160 {
            cache.insert(&at(n * 64), Bytes::from(vec![0; 512 << 10]));
            assert!(cache.bytes() <= bound, "{} bytes", cache.bytes());
        }
        assert!(cache.bytes() > bound / 2, "{} bytes", cache.bytes());
    }
}
