//! Which segment a row belongs to: the canonical routing key, its hash, and the ranges of hashes that segments own.
//!
//! The canonical routing key of a row is, for each routing column in order:
//!
//! | value | bytes |
//! |---|---|
//! | null | 0 |
//! | BOOLEAN | 1, then 0 or 1 |
//! | integers, DATE, TIME, timestamps | 1, then the value in its Arrow width, little endian |
//! | FLOAT, DOUBLE | 1, then the IEEE bits, little endian: NaNs of differing bits and -0.0 are values of their own |
//! | DECIMAL | 1, then the unscaled value, 16 bytes, little endian |
//! | strings and binary | 1, then the length in bytes, 4 bytes, little endian, then the bytes |
//!
//! Its hash is XXH3 with 64 bits and seed 0. The bytes are a contract with every writer: `vectors/routing-key.json`
//! holds examples that this crate and the Java shim check.

mod batch;
mod range;

#[cfg(test)]
mod vectors;

pub use batch::{hashes, route, split};
pub use range::{InvalidKeyRange, KeyRange, segment_of};

use xxhash_rust::xxh3::xxh3_64;

/// Marks a null in the canonical routing key.
const NULL: u8 = 0;
/// Marks a value in the canonical routing key.
const VALUE: u8 = 1;

/// The hash of a canonical routing key.
pub fn routing_hash(canonical: &[u8]) -> u64 {
    xxh3_64(canonical)
}

/// The hash of a row whose routing key is one column of strings or binary, as in the bytes schema, without a batch.
pub fn hash_bytes_key(key: Option<&[u8]>) -> u64 {
    /// Longer keys take the way over the heap.
    const SHORT: usize = 251;
    const HEAD: usize = 5;
    let Some(key) = key else { return routing_hash(&[NULL]) };
    // Keys come from messages of at most 16 MiB.
    let length = (key.len() as u32).to_le_bytes();
    if key.len() <= SHORT {
        let mut canonical = [VALUE; SHORT + HEAD];
        canonical[1..HEAD].copy_from_slice(&length);
        canonical[HEAD..HEAD + key.len()].copy_from_slice(key);
        return routing_hash(&canonical[..HEAD + key.len()]);
    }
    let mut canonical = Vec::with_capacity(HEAD + key.len());
    canonical.push(VALUE);
    canonical.extend_from_slice(&length);
    canonical.extend_from_slice(key);
    routing_hash(&canonical)
}
