//! Bytes of file headers and frame headers, see the tables in the module's doc. No input or output.

use super::Lsn;

pub(super) const PAGE: u64 = 4096;
pub(super) const FORMAT_VERSION: u32 = 1;
pub(super) const FRAME_MAGIC: [u8; 4] = *b"SLFR";
pub(super) const FRAME_HEADER_BYTES: usize = 64;
pub(super) const TABLE_ENTRY_BYTES: usize = 8;

const FILE_MAGIC: [u8; 8] = *b"SLUICELG";
const FILE_HEADER_BYTES: usize = 44;
const FILE_HEADER_COPY: usize = 2048;
const FRAME_VERSION: u16 = 1;
const ALIGN: u64 = 64;

/// What a file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub number: u64,
    pub first_lsn: Lsn,
    pub salt: u64,
}

/// Why a header page can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadFileHeader {
    Unreadable,
    Newer(u32),
}

impl FileHeader {
    pub fn encode(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(FILE_HEADER_BYTES);
        header.extend(FILE_MAGIC);
        header.extend(FORMAT_VERSION.to_le_bytes());
        header.extend(0u32.to_le_bytes());
        header.extend(self.number.to_le_bytes());
        header.extend(self.first_lsn.0.to_le_bytes());
        header.extend(self.salt.to_le_bytes());
        header.extend(crc32c::crc32c(&header).to_le_bytes());
        let mut page = vec![0; PAGE as usize];
        page[..FILE_HEADER_BYTES].copy_from_slice(&header);
        page[FILE_HEADER_COPY..FILE_HEADER_COPY + FILE_HEADER_BYTES].copy_from_slice(&header);
        page
    }

    /// The header, and whether both copies agree.
    pub fn decode(page: &[u8], number: u64) -> Result<(FileHeader, bool), BadFileHeader> {
        if page.len() as u64 != PAGE {
            return Err(BadFileHeader::Unreadable);
        }
        let first = Self::decode_copy(page, 0, number);
        let second = Self::decode_copy(page, FILE_HEADER_COPY, number);
        match (first, second) {
            (Ok(first), second) => Ok((first, second == Ok(first))),
            (_, Ok(second)) => Ok((second, false)),
            (Err(BadFileHeader::Newer(version)), _) | (_, Err(BadFileHeader::Newer(version))) => {
                Err(BadFileHeader::Newer(version))
            }
            _ => Err(BadFileHeader::Unreadable),
        }
    }

    fn decode_copy(page: &[u8], at: usize, number: u64) -> Result<FileHeader, BadFileHeader> {
        let bytes = page.get(at..at + FILE_HEADER_BYTES).ok_or(BadFileHeader::Unreadable)?;
        if bytes[..8] != FILE_MAGIC || crc32c::crc32c(&bytes[..40]) != u32_at(bytes, 40) {
            return Err(BadFileHeader::Unreadable);
        }
        match u32_at(bytes, 8) {
            FORMAT_VERSION => {}
            version if version > FORMAT_VERSION => return Err(BadFileHeader::Newer(version)),
            _ => return Err(BadFileHeader::Unreadable),
        }
        let header =
            FileHeader { number: u64_at(bytes, 16), first_lsn: Lsn(u64_at(bytes, 24)), salt: u64_at(bytes, 32) };
        if header.number == number { Ok(header) } else { Err(BadFileHeader::Unreadable) }
    }
}

/// Length and checksum of a block, as in the block table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableEntry {
    pub length: u32,
    pub crc32c: u32,
}

/// Where the parts of a frame lie, counted from its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub blocks: Vec<u64>,
    pub facts: u64,
}

impl Layout {
    /// Depends on the lengths of the blocks alone: facts come last.
    pub fn of(lengths: impl ExactSizeIterator<Item = u32>) -> Layout {
        let mut at = align(FRAME_HEADER_BYTES as u64 + (lengths.len() * TABLE_ENTRY_BYTES) as u64);
        let mut blocks = Vec::with_capacity(lengths.len());
        for length in lengths {
            blocks.push(at);
            at = align(at + u64::from(length));
        }
        Layout { blocks, facts: at }
    }

    pub fn total_bytes(&self, facts_bytes: u32) -> u64 {
        (self.facts + u64::from(facts_bytes)).next_multiple_of(PAGE)
    }
}

fn align(at: u64) -> u64 {
    at.next_multiple_of(ALIGN)
}

/// A frame's header and block table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub lsn: Lsn,
    pub durable_lsn: Lsn,
    pub salt: u64,
    pub position: u64,
    pub total_bytes: u64,
    pub facts_bytes: u32,
    pub facts_crc: u32,
    pub table: Vec<TableEntry>,
}

impl FrameHeader {
    /// Header and table. The table has less than 2^32 entries.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES + self.table.len() * TABLE_ENTRY_BYTES);
        bytes.extend(FRAME_MAGIC);
        bytes.extend(FRAME_VERSION.to_le_bytes());
        bytes.extend(0u16.to_le_bytes());
        for number in [self.lsn.0, self.durable_lsn.0, self.salt, self.position, self.total_bytes] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend((self.table.len() as u32).to_le_bytes());
        bytes.extend(self.facts_bytes.to_le_bytes());
        bytes.extend(self.facts_crc.to_le_bytes());
        bytes.extend([0; 4]);
        for entry in &self.table {
            bytes.extend(entry.length.to_le_bytes());
            bytes.extend(entry.crc32c.to_le_bytes());
        }
        let crc = header_crc(&bytes);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Number of table entries that a header speaks of, to know how much to read. `None`: no frame begins here.
    pub fn table_entries(start: &[u8]) -> Option<usize> {
        let start = start.get(..FRAME_HEADER_BYTES)?;
        let known = start[..4] == FRAME_MAGIC && u16_at(start, 4) == FRAME_VERSION;
        known.then(|| u32_at(start, 48) as usize)
    }

    /// Reads header and table, from bytes that hold both; lengths are consistent on return.
    pub fn decode(bytes: &[u8]) -> Option<FrameHeader> {
        let entries = Self::table_entries(bytes)?;
        let table_end = entries.checked_mul(TABLE_ENTRY_BYTES)?.checked_add(FRAME_HEADER_BYTES)?;
        let bytes = bytes.get(..table_end)?;
        if header_crc(bytes) != u32_at(bytes, 60) {
            return None;
        }
        let table: Vec<TableEntry> = bytes[FRAME_HEADER_BYTES..]
            .chunks_exact(TABLE_ENTRY_BYTES)
            .map(|entry| TableEntry { length: u32_at(entry, 0), crc32c: u32_at(entry, 4) })
            .collect();
        let header = FrameHeader {
            lsn: Lsn(u64_at(bytes, 8)),
            durable_lsn: Lsn(u64_at(bytes, 16)),
            salt: u64_at(bytes, 24),
            position: u64_at(bytes, 32),
            total_bytes: u64_at(bytes, 40),
            facts_bytes: u32_at(bytes, 52),
            facts_crc: u32_at(bytes, 56),
            table,
        };
        let whole = header.layout().total_bytes(header.facts_bytes) == header.total_bytes;
        (whole && header.durable_lsn < header.lsn).then_some(header)
    }

    /// Whether it holds nothing and only tells what is durable.
    pub fn is_mark(&self) -> bool {
        self.table.is_empty() && self.facts_bytes == 0
    }

    pub fn layout(&self) -> Layout {
        Layout::of(self.table.iter().map(|entry| entry.length))
    }
}

/// Over everything but the checksum's own four bytes.
fn header_crc(header_and_table: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&header_and_table[..60]);
    crc32c::crc32c_append(crc, &header_and_table[FRAME_HEADER_BYTES..])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | (u64::from(u32_at(bytes, at + 4)) << 32)
}
