//! CRC-32C over everything a file holds: per region of the row groups, of page index and footer, and of the whole.

use std::io::{self, Write};

/// Bytes of one region.
pub(super) const REGION_BYTES: usize = 16 * 1024;
const PREFIX: &str = "crc32c:16384:";

/// One CRC-32C per [`REGION_BYTES`] from the file's start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Regions {
    checksums: Vec<u32>,
}

impl Regions {
    /// As the footer holds it.
    pub(super) fn encode(&self) -> String {
        let mut text = String::with_capacity(PREFIX.len() + 8 * self.checksums.len());
        text.push_str(PREFIX);
        for checksum in &self.checksums {
            text.push_str(&format!("{checksum:08x}"));
        }
        text
    }

    /// None if `text` is not what [`Regions::encode`] makes.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?.as_bytes();
        let (chunks, rest) = digits.as_chunks::<8>();
        if !rest.is_empty() {
            return None;
        }
        let checksum = |chunk: &[u8; 8]| {
            let lower_hex = chunk.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
            lower_hex.then(|| u32::from_str_radix(str::from_utf8(chunk).ok()?, 16).ok()).flatten()
        };
        Some(Self { checksums: chunks.iter().map(checksum).collect::<Option<_>>()? })
    }

    /// Whether there is one for each region of `[0, end)`.
    pub(super) fn covers(&self, end: u64) -> bool {
        self.checksums.len() as u64 == end.div_ceil(REGION_BYTES as u64)
    }

    /// Whether `bytes` are those of region `index`.
    pub(super) fn matches(&self, index: usize, bytes: &[u8]) -> bool {
        self.checksums.get(index).is_some_and(|expected| crc32c::crc32c(bytes) == *expected)
    }
}

/// Passes bytes through and sums them.
#[derive(Debug)]
pub(super) struct SummingWriter<W> {
    out: Option<W>,
    bytes: u64,
    whole: u32,
    regions: Regions,
    region: u32,
    region_fill: usize,
    tail: Option<Tail>,
}

/// Length and checksum of what follows the row groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) bytes: u64,
    pub(super) crc32c: u32,
}

/// What a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) bytes: u64,
    pub(super) crc32c: u32,
    pub(super) tail: Tail,
}

impl<W: Write> SummingWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out: Some(out), bytes: 0, whole: 0, regions: Regions::default(), region: 0, region_fill: 0, tail: None }
    }

    /// Ends the last region here; what is written later is the tail.
    pub(super) fn end_regions(&mut self) -> Regions {
        if self.region_fill > 0 {
            self.close_region();
        }
        self.tail = Some(Tail::default());
        self.regions.clone()
    }

    /// The sums and the writer below, once; nothing can be written any more. (Parquet's writer gives its own writer back only by reference
    /// if errors of the last write are to be seen.)
    pub(super) fn take(&mut self) -> Option<(Sums, W)> {
        let sums = Sums { bytes: self.bytes, crc32c: self.whole, tail: self.tail.unwrap_or_default() };
        self.out.take().map(|out| (sums, out))
    }

    fn out(&mut self) -> io::Result<&mut W> {
        self.out.as_mut().ok_or_else(|| io::Error::other("the file is finished"))
    }

    fn close_region(&mut self) {
        self.regions.checksums.push(self.region);
        (self.region, self.region_fill) = (0, 0);
    }

    fn sum(&mut self, mut written: &[u8]) {
        self.bytes += written.len() as u64;
        self.whole = crc32c::crc32c_append(self.whole, written);
        if let Some(tail) = &mut self.tail {
            tail.bytes += written.len() as u64;
            tail.crc32c = crc32c::crc32c_append(tail.crc32c, written);
            return;
        }
        while !written.is_empty() {
            let (now, later) = written.split_at(written.len().min(REGION_BYTES - self.region_fill));
            self.region = crc32c::crc32c_append(self.region, now);
            self.region_fill += now.len();
            if self.region_fill == REGION_BYTES {
                self.close_region();
            }
            written = later;
        }
    }
}

impl<W: Write> Write for SummingWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let taken = self.out()?.write(buf)?;
        self.sum(&buf[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out()?.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However the bytes arrive, the sums are those of the whole; and the table survives its text form.
        #[test]
        fn sums_do_not_depend_on_the_pieces(
            pieces in proptest::collection::vec(0_usize..100_000, 0..8), tail in 0_usize..3000, seed in any::<u8>()
        ) {
            let data: Vec<u8> = (0..pieces.iter().sum::<usize>() + tail).map(|at| (at * 31 + at / 251) as u8 ^ seed).collect();
            let body = data.len() - tail;
            let mut writer = SummingWriter::new(Vec::new());
            let mut at = 0;
            for piece in &pieces {
                writer.write_all(&data[at..at + piece]).unwrap();
                at += piece;
            }
            let regions = writer.end_regions();
            writer.write_all(&data[body..]).unwrap();
            let (sums, out) = writer.take().unwrap();
            prop_assert!(writer.write_all(b"late").is_err());
            prop_assert_eq!(&out, &data);
            prop_assert_eq!(sums.crc32c, crc32c::crc32c(&data));
            prop_assert_eq!(sums.tail, Tail { bytes: tail as u64, crc32c: crc32c::crc32c(&data[body..]) });
            prop_assert!(regions.covers(body as u64));
            for (index, region) in data[..body].chunks(REGION_BYTES).enumerate() {
                prop_assert!(regions.matches(index, region));
                let mut flipped = region.to_vec();
                flipped[region.len() / 2] ^= 1;
                prop_assert!(!regions.matches(index, &flipped));
            }
            prop_assert_eq!(Regions::decode(&regions.encode()), Some(regions));
        }
    }

    #[test]
    fn text_that_is_no_table_is_refused() {
        for text in [
            "",
            "crc32c:16384",
            "crc32c:16384:0",
            "crc32c:16384:0000000G",
            "crc32c:16384:+0000000",
            "crc32c:32768:00000000",
            "crc32c:16384:ABCDEF00",
        ] {
            assert_eq!(Regions::decode(text), None, "{text}");
        }
        assert_eq!(Regions::decode("crc32c:16384:"), Some(Regions::default()));
    }
}
