//! A prepared transaction as bytes, so that it can be committed after a restart of the process.

use bytes::Bytes;
use prost::Message;
use sluice_proto::gateway::v1 as wire;
use sluice_schema::names::SinkName;

use crate::error::{Error, Result};

/// First bytes of the stored form; the last one is its version.
const MAGIC: &[u8; 4] = b"SLP\x01";

/// A transaction whose events are durable and wait for their commit. No clock ends it.
///
/// [`to_bytes`](Self::to_bytes) gives a form to be stored, for example with the position of the input it came from:
/// whoever reads it back commits it with [`Client::commit_prepared`](crate::Client::commit_prepared) or hands it to
/// [`TransactionOptions::restored`](super::TransactionOptions).
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedTransaction {
    pub(super) sink: SinkName,
    pub(super) cluster_id: Bytes,
    pub(super) timeline_id: Bytes,
    /// `None`: the transaction held no events, nothing is to be committed.
    pub(super) group: Option<wire::Group>,
    pub(super) events: u64,
    pub(super) bytes: u64,
}

/// The stored form, between the magic and the checksum.
#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(message, optional, tag = "1")]
    sink: Option<wire::SinkName>,
    #[prost(bytes = "bytes", tag = "2")]
    cluster_id: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    timeline_id: Bytes,
    #[prost(message, optional, tag = "4")]
    group: Option<wire::Group>,
    #[prost(uint64, tag = "5")]
    events: u64,
    #[prost(uint64, tag = "6")]
    bytes: u64,
}

impl PreparedTransaction {
    /// The sink it belongs to.
    pub fn sink(&self) -> &SinkName {
        &self.sink
    }

    /// Events it holds.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Bytes of the blocks it holds.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn group_id(&self) -> Option<&Bytes> {
        self.group.as_ref().map(|group| &group.group_id)
    }

    /// A form to be stored: magic and version, content, CRC-32C of both.
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored = Stored {
            sink: Some((&self.sink).into()),
            cluster_id: self.cluster_id.clone(),
            timeline_id: self.timeline_id.clone(),
            group: self.group.clone(),
            events: self.events,
            bytes: self.bytes,
        };
        let mut bytes = MAGIC.to_vec();
        bytes.extend(stored.encode_to_vec());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// Reads the stored form; anything cut, changed or of another version is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let unreadable = |why: &str| Error::invalid(format!("these bytes are no prepared transaction: {why}"));
        let (content, checksum) = bytes.split_last_chunk::<4>().ok_or_else(|| unreadable("they are cut"))?;
        let body = content.strip_prefix(MAGIC).ok_or_else(|| unreadable("they are of another kind or version"))?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
            return Err(unreadable("their checksum is wrong"));
        }
        let stored = Stored::decode(body).map_err(|e| unreadable(&e.to_string()))?;
        let sink = SinkName::try_from(stored.sink).map_err(|e| unreadable(&e.to_string()))?;
        Ok(Self {
            sink,
            cluster_id: stored.cluster_id,
            timeline_id: stored.timeline_id,
            group: stored.group,
            events: stored.events,
            bytes: stored.bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared() -> PreparedTransaction {
        PreparedTransaction {
            sink: SinkName::parse("demo/job").unwrap(),
            cluster_id: Bytes::from_static(&[1; 16]),
            timeline_id: Bytes::from_static(&[2; 16]),
            group: Some(wire::Group {
                group_id: Bytes::from_static(&[3; 16]),
                checkpoint: 4,
                prev_group: Bytes::new(),
                members: vec![Bytes::from_static(&[5; 16])],
                incarnation: 6,
            }),
            events: 7,
            bytes: 8,
        }
    }

    #[test]
    fn the_stored_form_round_trips() {
        let read = PreparedTransaction::from_bytes(&prepared().to_bytes()).unwrap();
        assert_eq!(read, prepared());
    }

    #[test]
    fn cut_long_and_flipped_bytes_are_refused() {
        let good = prepared().to_bytes();
        for length in 0..good.len() {
            assert!(PreparedTransaction::from_bytes(&good[..length]).is_err(), "cut at {length}");
        }
        let mut long = good.clone();
        long.push(0);
        assert!(PreparedTransaction::from_bytes(&long).is_err());
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(PreparedTransaction::from_bytes(&flipped).is_err(), "bit {bit}");
        }
    }
}
