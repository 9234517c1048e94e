//! Sizes and durations as people write them.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIME_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

/// A number of bytes, written as `64MiB`, `512KiB`, `1GiB` or `4096B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many mebibytes.
    pub const fn mib(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// In bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A span of time in whole milliseconds, written as `10s`, `250ms`, `10min`, `24h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(u64);

impl Span {
    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// So many seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Duration::from_millis(span.0)
    }
}

impl FromStr for ByteSize {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let malformed =
            || format!("`{text}` is no size: write a whole number with B, KiB, MiB or GiB, for example 64MiB");
        parse(text, &SIZE_UNITS).map(Self).ok_or_else(malformed)
    }
}

impl FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let malformed =
            || format!("`{text}` is no time span: write a whole number with ms, s, min, h or d, for example 10s");
        parse(text, &TIME_UNITS).map(Self).ok_or_else(malformed)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, "B", &SIZE_UNITS, f)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, "ms", &TIME_UNITS, f)
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = (&text[..digits], text[digits..].trim_start());
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The largest unit that divides the number.
fn write(number: u64, smallest: &str, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let fitting = units.iter().find(|(_, factor)| number > 0 && number.is_multiple_of(*factor));
    match fitting {
        Some((unit, factor)) => write!(f, "{}{unit}", number / factor),
        None => write!(f, "{number}{smallest}"),
    }
}

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(ByteSize, Span);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_round_trip(number: u64) {
            prop_assert_eq!(ByteSize(number).to_string().parse::<ByteSize>().unwrap(), ByteSize(number));
            prop_assert_eq!(Span(number).to_string().parse::<Span>().unwrap(), Span(number));
        }
    }

    #[test]
    fn the_largest_fitting_unit_is_written() {
        assert_eq!(ByteSize::mib(64).to_string(), "64MiB");
        assert_eq!(ByteSize::mib(2048).to_string(), "2GiB");
        assert_eq!(ByteSize::bytes(1025).to_string(), "1025B");
        assert_eq!(ByteSize::bytes(0).to_string(), "0B");
        assert_eq!(Span::from_seconds(600).to_string(), "10min");
        assert_eq!(Span::from_millis(1500).to_string(), "1500ms");
    }

    #[test]
    fn malformed_texts_are_refused_with_an_example() {
        for text in ["", "64", "MiB", "64MB", "-1MiB", "1.5GiB", "64mib", "99999999999GiB", "64MiB "] {
            assert!(text.parse::<ByteSize>().unwrap_err().contains("64MiB"), "{text:?}");
        }
        for text in ["", "10", "s", "10 sec", "-1s", "1h30min"] {
            assert!(text.parse::<Span>().unwrap_err().contains("10s"), "{text:?}");
        }
        assert_eq!("10 min".parse::<Span>().unwrap(), Span::from_seconds(600));
    }
}
