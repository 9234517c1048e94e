//! Places in a stream as people write them.

use std::str::FromStr;

use chrono::DateTime;
use sluice_client::{At, Positions, Start};
use sluice_schema::names::StreamName;

use super::exit::Failure;

/// `earliest`, `latest`, positions such as `0:12,1:7`, or a time: milliseconds since 1970 or `2013-01-31T17:05:09Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A place every stream has.
    At(At),
    /// Positions, not read yet, since their stream is not known here.
    Positions(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => return Ok(Self::At(At::Earliest)),
            "latest" => return Ok(Self::At(At::Latest)),
            _ => {}
        }
        if let Ok(millis) = text.parse() {
            return Ok(Self::At(At::TimestampMs(millis)));
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1)) {
            let millis = u64::try_from(time.timestamp_millis()).unwrap_or_default();
            return Ok(Self::At(At::TimestampMs(millis)));
        }
        if text.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b',') && text.contains(':') {
            return Ok(Self::Positions(text.into()));
        }
        Err(format!(
            "`{text}` is no place in a stream: write earliest, latest, positions such as 0:12,1:7, milliseconds since 1970, \
             or a time such as 2013-01-31T17:05:09Z"
        ))
    }
}

impl Place {
    /// The place in a stream.
    pub fn in_stream(&self, stream: &StreamName) -> Result<Start, Failure> {
        Ok(match self {
            Self::At(at) => Start::At(*at),
            Self::Positions(text) => Start::Positions(Positions::parse(stream, text)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_are_read() {
        let place = |text: &str| text.parse::<Place>().unwrap();
        assert_eq!(place("earliest"), Place::At(At::Earliest));
        assert_eq!(place("latest"), Place::At(At::Latest));
        assert_eq!(place("1700000000000"), Place::At(At::TimestampMs(1_700_000_000_000)));
        assert_eq!(place("2023-11-14T22:13:20Z"), Place::At(At::TimestampMs(1_700_000_000_000)));
        assert_eq!(place("2023-11-14 23:13:20+01:00"), Place::At(At::TimestampMs(1_700_000_000_000)));
        assert_eq!(place("0:1,1:2"), Place::Positions("0:1,1:2".into()));
        assert!("now".parse::<Place>().unwrap_err().contains("earliest"));
    }

    #[test]
    fn malformed_positions_are_refused_with_their_stream_known() {
        let stream = StreamName::parse("a/b").unwrap();
        assert!("0:".parse::<Place>().unwrap().in_stream(&stream).is_err());
        assert!("0:1".parse::<Place>().unwrap().in_stream(&stream).is_ok());
    }
}
