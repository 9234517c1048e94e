//! Rules of values, over the raw bytes of a column. Loops here are what a check costs: they run over whole slices,
//! without a branch per row where that can be, and look closer only after something was found.

use std::ops::Range;

use super::columns::Fault;

/// Milliseconds of a day.
const DAY_MS: i32 = 24 * 60 * 60 * 1000;

type Checked<T> = Result<T, Fault>;

/// A validity bitmap: bit i of byte i/8 says that slot i holds a value.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl<'a> Bits<'a> {
    /// `None` if there are too few bytes.
    pub(super) fn new(bytes: &'a [u8], length: usize) -> Option<Self> {
        Some(Self { bytes: bytes.get(..length.div_ceil(8))?, length })
    }

    fn is_set(&self, i: usize) -> bool {
        self.bytes[i / 8] >> (i % 8) & 1 == 1
    }

    /// The bits of the last byte that belong to slots.
    fn tail_mask(&self) -> u8 {
        match self.length % 8 {
            0 => 0xFF,
            used => (1 << used) - 1,
        }
    }

    pub(super) fn count_zeros(&self) -> usize {
        let Some((last, full)) = self.bytes.split_last() else { return 0 };
        let (words, rest) = full.as_chunks::<8>();
        let in_words: usize = words.iter().map(|word| u64::from_le_bytes(*word).count_ones() as usize).sum();
        let in_rest: usize = rest.iter().map(|byte| byte.count_ones() as usize).sum();
        let in_last = (last & self.tail_mask()).count_ones() as usize;
        self.length - in_words - in_rest - in_last
    }

    /// Whether every slot that is null here is null in `parent`, which has as many slots.
    pub(super) fn zeros_lie_within(&self, parent: Bits<'_>) -> bool {
        let Some((last, full)) = self.bytes.split_last() else { return true };
        let Some((parent_last, parent_full)) = parent.bytes.split_last() else { return false };
        let full_agree = full.iter().zip(parent_full).all(|(own, parent)| !own & parent == 0);
        full_agree && !last & parent_last & self.tail_mask() == 0
    }
}

/// Whether slot i holds a value.
fn is_valid(validity: Option<Bits<'_>>, i: usize) -> bool {
    validity.is_none_or(|bits| bits.is_set(i))
}

/// The offsets of a column of variable length: one more than it has slots, or none.
#[derive(Clone, Copy)]
pub(super) struct Offsets<'a>(&'a [[u8; 4]]);

/// What is known of offsets after their check.
pub(super) struct Span {
    /// What they cover of their data.
    pub(super) range: Range<usize>,
    /// The greatest length of a slot.
    pub(super) longest: usize,
}

impl<'a> Offsets<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.as_chunks().0)
    }

    /// Offsets start at 0 or above, never fall, and end within `limit`.
    pub(super) fn check(&self, limit: usize) -> Checked<Span> {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return Ok(Span { range: 0..0, longest: 0 });
        };
        let (first, last) = (i32::from_le_bytes(*first), i32::from_le_bytes(*last));
        let mut falls = false;
        let mut longest = 0u32;
        for (start, end) in self.0.iter().zip(&self.0[1..]) {
            let (start, end) = (i32::from_le_bytes(*start), i32::from_le_bytes(*end));
            falls |= end < start;
            // Right wherever it counts: if no offset falls, the difference does not wrap.
            longest = longest.max(end.wrapping_sub(start) as u32);
        }
        let range = usize::try_from(first).ok().zip(usize::try_from(last).ok());
        match range {
            Some((first, last)) if !falls && last <= limit => {
                Ok(Span { range: first..last, longest: longest as usize })
            }
            _ => Err(self.fault(limit)),
        }
    }

    fn fault(&self, limit: usize) -> Fault {
        let all = self.0.iter().map(|raw| i32::from_le_bytes(*raw));
        let ends = all.clone().skip(1);
        let bad = all.zip(ends).position(|(start, end)| start < 0 || end < start || end as usize > limit);
        let row = bad.unwrap_or(0);
        Fault::new(format!("the offsets of row {row} fall, are negative or end after {limit}"))
    }

    /// The ranges of all slots; only after [`Self::check`].
    fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let all = self.0.iter().map(|raw| u32::from_le_bytes(*raw) as usize);
        all.clone().zip(all.skip(1)).map(|(start, end)| start..end)
    }
}

/// No single value is larger than an event may be.
pub(super) fn check_size(longest: usize, limit: usize) -> Checked<()> {
    if longest > limit {
        return Err(Fault::new(format!("a value has {longest} bytes, an event may have at most {limit}")));
    }
    Ok(())
}

/// The whole text and every slot of it is UTF-8. `covered` is what the offsets cover of `data`.
pub(super) fn check_utf8(offsets: Offsets<'_>, data: &[u8], covered: Range<usize>) -> Checked<()> {
    let text = &data[covered.clone()];
    if text.is_ascii() {
        return Ok(());
    }
    let bad_at = match std::str::from_utf8(text) {
        Err(error) => Some(covered.start + error.valid_up_to()),
        // Whole text, but a character may begin in one slot and end in the next.
        Ok(_) => offsets.ranges().map(|range| range.start).find(|start| {
            let first = text.get(start - covered.start);
            first.is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000)
        }),
    };
    match bad_at {
        None => Ok(()),
        Some(at) => {
            let row = offsets.ranges().position(|range| range.contains(&at)).unwrap_or(0);
            Err(Fault::new(format!("row {row} holds invalid UTF-8")))
        }
    }
}

/// No value has more than `limit` characters.
pub(super) fn check_characters(
    offsets: Offsets<'_>,
    data: &[u8],
    limit: usize,
    validity: Option<Bits<'_>>,
) -> Checked<()> {
    for (row, range) in offsets.ranges().enumerate() {
        if range.len() <= limit || !is_valid(validity, row) {
            continue;
        }
        // Every character has one byte that does not continue another.
        let characters = data[range].iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count();
        if characters > limit {
            return Err(Fault::new(format!("row {row} holds {characters} characters, at most {limit} are allowed")));
        }
    }
    Ok(())
}

/// No value has more than `limit` bytes.
pub(super) fn check_bytes(offsets: Offsets<'_>, limit: usize, validity: Option<Bits<'_>>) -> Checked<()> {
    let lengths = offsets.ranges().map(|range| range.len()).enumerate();
    match lengths.filter(|(row, _)| is_valid(validity, *row)).find(|(_, length)| *length > limit) {
        None => Ok(()),
        Some((row, length)) => Err(Fault::new(format!("row {row} holds {length} bytes, at most {limit} are allowed"))),
    }
}

/// Unscaled values have at most `precision` digits.
pub(super) fn check_decimals(values: &[u8], precision: u8, validity: Option<Bits<'_>>) -> Checked<()> {
    let limit = 10u128.pow(precision.into());
    for (row, raw) in values.as_chunks::<16>().0.iter().enumerate() {
        let value = i128::from_le_bytes(*raw);
        if value.unsigned_abs() >= limit && is_valid(validity, row) {
            let why = format!("row {row} holds the unscaled value {value}, at most {precision} digits are allowed");
            return Err(Fault::new(why));
        }
    }
    Ok(())
}

/// Times lie within a day.
pub(super) fn check_times(values: &[u8], validity: Option<Bits<'_>>) -> Checked<()> {
    for (row, raw) in values.as_chunks::<4>().0.iter().enumerate() {
        let value = i32::from_le_bytes(*raw);
        if !(0..DAY_MS).contains(&value) && is_valid(validity, row) {
            return Err(Fault::new(format!("row {row} holds {value} ms, a time of day is 0 to {}", DAY_MS - 1)));
        }
    }
    Ok(())
}
