//! One offset per segment.

use std::{collections::BTreeMap, fmt};

use sluice_proto::gateway::v1 as wire;
use sluice_schema::names::StreamName;

use crate::error::{Error, Result};

/// One offset per segment of a stream: everything before it is read, everything from there on is not.
///
/// As text: `0:12,1:7` (segment 0 from offset 12, segment 1 from offset 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Positions {
    /// The stream.
    pub stream: StreamName,
    /// The next offset to read, by segment number.
    pub segments: BTreeMap<u32, u64>,
}

impl Positions {
    /// Reads the text form.
    pub fn parse(stream: &StreamName, text: &str) -> Result<Self> {
        let mut segments = BTreeMap::new();
        for part in text.split(',') {
            let (segment, offset) = part
                .split_once(':')
                .and_then(|(segment, offset)| Some((segment.trim().parse().ok()?, offset.trim().parse().ok()?)))
                .ok_or_else(|| {
                    Error::invalid(format!("`{part}` is no position: write SEGMENT:OFFSET, for example 0:12,1:7"))
                })?;
            if segments.insert(segment, offset).is_some() {
                return Err(Error::invalid(format!("segment {segment} stands twice in the positions `{text}`")));
            }
        }
        Ok(Self { stream: stream.clone(), segments })
    }

    /// Sum over the segments of what lies between these positions and `end`; segments missing on either side count 0.
    pub fn events_until(&self, end: &Positions) -> u64 {
        let in_segment =
            |(segment, offset): (&u32, &u64)| end.segments.get(segment).map_or(0, |end| end.saturating_sub(*offset));
        self.segments.iter().map(in_segment).sum()
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (segment, offset)) in self.segments.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{segment}:{offset}")?;
        }
        Ok(())
    }
}

impl TryFrom<wire::Positions> for Positions {
    type Error = Error;
    fn try_from(positions: wire::Positions) -> Result<Self> {
        let stream = StreamName::try_from(positions.stream).map_err(|e| Error::bug(e.to_string()))?;
        let segments = positions.segments.into_iter().map(|at| (at.segment, at.offset)).collect();
        Ok(Self { stream, segments })
    }
}

impl From<&Positions> for wire::Positions {
    fn from(positions: &Positions) -> Self {
        let at = |(&segment, &offset): (&u32, &u64)| wire::SegmentPosition { segment, offset };
        Self { stream: Some((&positions.stream).into()), segments: positions.segments.iter().map(at).collect() }
    }
}

pub(crate) fn from_wire(positions: Option<wire::Positions>) -> Result<Positions> {
    positions.ok_or_else(|| Error::bug("the gateway's answer lacks positions"))?.try_into()
}

pub(crate) fn all_to_wire(positions: &[Positions]) -> Vec<wire::Positions> {
    positions.iter().map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream() -> StreamName {
        StreamName::parse("demo/s").unwrap()
    }

    proptest! {
        #[test]
        fn text_and_wire_round_trip(segments in prop::collection::btree_map(any::<u32>(), any::<u64>(), 1..20)) {
            let positions = Positions { stream: stream(), segments };
            prop_assert_eq!(&Positions::parse(&stream(), &positions.to_string()).unwrap(), &positions);
            let sent = wire::Positions::from(&positions);
            prop_assert_eq!(Positions::try_from(sent).unwrap(), positions);
        }
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in ["", "0", "0:", ":1", "0:1,", "a:1", "0:-1", "0:1,0:2", "4294967296:0"] {
            assert!(Positions::parse(&stream(), text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn events_between_positions_never_go_below_zero() {
        let from = Positions::parse(&stream(), "0:10,1:5").unwrap();
        let end = Positions::parse(&stream(), "0:7,1:9,2:100").unwrap();
        assert_eq!(from.events_until(&end), 4);
    }
}
