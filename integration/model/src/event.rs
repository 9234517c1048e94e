//! What an event is: enough to tell who wrote it for which record of the source, in the 32 bits of a block's checksum.

use std::fmt;

use sluice_proto::storage::v1::{BlockInfo, BlockRef};
use sluice_txn::protocol::BYTES_SCHEMA_ID;

const PLAIN: u32 = 1 << 31;
const LINE_AT: u32 = 25;
const SPLIT_AT: u32 = 22;
const NUMBER_AT: u32 = 10;
const ATTEMPT_MASK: u32 = (1 << NUMBER_AT) - 1;
/// Bytes of a block, by rows.
const ROW_BYTES: u32 = 8;

/// An event as a reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// A record of the source, written by a job.
    Record(Record),
    /// An event of the plain writer, by its sequence.
    Plain(u32),
}

/// A record of the source. A replay after a restore makes the same (line, split, number) with another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// Which history of the source; see [`crate::world::Line`].
    pub line: u8,
    /// The split of the source; also the routing key.
    pub split: u8,
    /// The ordinal in the split.
    pub number: u8,
    /// The attempt that wrote it.
    pub attempt: u8,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of split {} (line {}, attempt {})", self.number, self.split, self.line, self.attempt)
    }
}

impl Record {
    fn code(self) -> u32 {
        u32::from(self.line) << LINE_AT
            | u32::from(self.split) << SPLIT_AT
            | u32::from(self.number) << NUMBER_AT
            | u32::from(self.attempt)
    }
    /// The block that holds it, alone.
    pub fn block(self) -> BlockInfo {
        block(self.code(), 1)
    }
}

/// A block of the plain writer: `rows` events from sequence `first` on.
pub fn plain_block(first: u32, rows: u32) -> BlockInfo {
    block(PLAIN | first, rows)
}

fn block(code: u32, rows: u32) -> BlockInfo {
    let at = BlockRef { file: 1, position: code.into(), length: ROW_BYTES * rows, crc32c: code };
    BlockInfo { at: Some(at), schema_id: BYTES_SCHEMA_ID, rows, columns: Vec::new() }
}

/// The events of a block of the model, in order.
pub fn events_of(block: &BlockInfo) -> impl Iterator<Item = Event> + use<> {
    let code = block.at.map_or(0, |at| at.crc32c);
    (0..block.rows).map(move |row| decode(code, row))
}

fn decode(code: u32, row: u32) -> Event {
    if code & PLAIN != 0 {
        return Event::Plain((code & !PLAIN) + row);
    }
    let part = |at: u32, bits: u32| (code >> at & ((1 << bits) - 1)) as u8;
    Event::Record(Record {
        line: part(LINE_AT, 31 - LINE_AT),
        split: part(SPLIT_AT, LINE_AT - SPLIT_AT),
        number: part(NUMBER_AT, SPLIT_AT - NUMBER_AT),
        attempt: (code & ATTEMPT_MASK) as u8,
    })
}

#[cfg(test)]
mod tests {
    //! An event survives its block.
    use super::*;

    #[test]
    fn events_come_back_from_their_blocks() {
        for record in [
            Record { line: 0, split: 0, number: 0, attempt: 0 },
            Record { line: 63, split: 7, number: 255, attempt: 255 },
            Record { line: 3, split: 1, number: 9, attempt: 4 },
        ] {
            assert_eq!(events_of(&record.block()).collect::<Vec<_>>(), vec![Event::Record(record)]);
        }
        let plain: Vec<Event> = events_of(&plain_block(5, 2)).collect();
        assert_eq!(plain, vec![Event::Plain(5), Event::Plain(6)]);
    }
}
