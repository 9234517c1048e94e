//! Ranges of routing-key hashes.

use std::fmt;

use sluice_proto::gateway::v1 as wire;

use crate::limits::SEGMENTS_MAX;

/// A half-open range `[first, end)` of hashes; `end` 0 stands for 2^64, so that the whole space is `[0, 0)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRange {
    first: u64,
    end: u64,
}

/// Bounds that hold no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("key range [{first:#018x}, {end:#018x}) is empty: its end must be above its first, or 0 for 2^64")]
pub struct InvalidKeyRange {
    first: u64,
    end: u64,
}

impl KeyRange {
    /// The whole space.
    pub const FULL: Self = Self { first: 0, end: 0 };

    /// Checks bounds; `end` 0 stands for 2^64.
    pub fn new(first: u64, end: u64) -> Result<Self, InvalidKeyRange> {
        if end != 0 && end <= first {
            return Err(InvalidKeyRange { first, end });
        }
        Ok(Self { first, end })
    }

    /// The first hash that belongs to the range.
    pub fn first(self) -> u64 {
        self.first
    }

    /// The first hash after the range; 0 stands for 2^64.
    pub fn end(self) -> u64 {
        self.end
    }

    /// The last hash that belongs to the range.
    pub fn last(self) -> u64 {
        self.end.wrapping_sub(1)
    }

    /// Whether a hash belongs to the range.
    pub fn contains(self, hash: u64) -> bool {
        self.first <= hash && hash <= self.last()
    }

    /// Whether any hash belongs to both.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last() && other.first <= self.last()
    }

    /// The ranges of `segments` segments of even width: segment i owns `[ceil(i*2^64/n), ceil((i+1)*2^64/n))`,
    /// the hashes for which [`segment_of`] is i. `segments` is taken into 1..=1024.
    pub fn split_evenly(segments: u32) -> Vec<Self> {
        let n = u128::from(segments.clamp(1, SEGMENTS_MAX));
        // Truncation makes 2^64 the 0 that stands for it.
        let bound = |i: u128| (i << 64).div_ceil(n) as u64;
        (0..n).map(|i| Self { first: bound(i), end: bound(i + 1) }).collect()
    }
}

/// The segment of a hash among `segments` even ones: floor(hash * n / 2^64). `segments` 0 counts as 1.
pub fn segment_of(hash: u64, segments: u32) -> u32 {
    // The product is below 2^96, its upper part below `segments`.
    ((u128::from(hash) * u128::from(segments)) >> 64) as u32
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:#018x}, {:#018x}]", self.first, self.last())
    }
}

impl TryFrom<wire::KeyRange> for KeyRange {
    type Error = InvalidKeyRange;
    fn try_from(range: wire::KeyRange) -> Result<Self, InvalidKeyRange> {
        Self::new(range.first, range.end)
    }
}

impl From<KeyRange> for wire::KeyRange {
    fn from(range: KeyRange) -> Self {
        Self { first: range.first, end: range.end }
    }
}

#[cfg(test)]
mod tests {
    //! Even splits cover the space once and agree with `segment_of` at every edge.
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn even_splits_partition_the_space_and_agree_with_segment_of() {
        for n in (1..=64).chain([100, 1000, 1023, 1024]) {
            let ranges = KeyRange::split_evenly(n);
            assert_eq!(ranges.len(), n as usize);
            assert_eq!((ranges[0].first(), ranges[ranges.len() - 1].end()), (0, 0));
            for (i, range) in ranges.iter().enumerate() {
                let i = i as u32;
                assert_eq!((segment_of(range.first(), n), segment_of(range.last(), n)), (i, i), "n = {n}");
                if let Some(next) = ranges.get(i as usize + 1) {
                    assert_eq!(range.end(), next.first());
                    assert!(!range.overlaps(*next));
                }
            }
        }
        assert_eq!(KeyRange::split_evenly(0), [KeyRange::FULL]);
    }

    #[test]
    fn bounds() {
        assert!(KeyRange::FULL.contains(0) && KeyRange::FULL.contains(u64::MAX));
        let upper = KeyRange::new(10, 0).unwrap();
        assert!(!upper.contains(9) && upper.contains(10) && upper.contains(u64::MAX));
        assert!(!KeyRange::new(3, 5).unwrap().contains(5));
        assert!(KeyRange::new(5, 5).is_err());
        let error = KeyRange::try_from(wire::KeyRange { first: 6, end: 5 }).unwrap_err();
        assert!(error.to_string().contains("is empty"), "{error}");
        assert!(KeyRange::FULL.overlaps(upper) && upper.overlaps(KeyRange::FULL));
    }

    proptest! {
        #[test]
        fn segment_of_is_the_range_that_contains_the_hash(hash: u64, n in 1u32..=1024) {
            let range = KeyRange::split_evenly(n)[segment_of(hash, n) as usize];
            prop_assert!(range.contains(hash));
            prop_assert_eq!(KeyRange::try_from(wire::KeyRange::from(range)), Ok(range));
        }
    }
}
