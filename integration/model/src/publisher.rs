//! What publishers of Parquet files know, and the files they wrote.

use std::{collections::BTreeMap, sync::Arc};

use crate::{ids::Place, world::Seen};

/// A publisher that wrote its intent down and has not come back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Publisher {
    /// Its number; also the name of its file, which is never used again.
    pub number: u8,
    /// Where.
    pub place: Place,
    /// The first offset of its file.
    pub first: u64,
    /// The offset after its file's last.
    pub end: u64,
    /// Whether it leaves out the last event: an extent may be cut.
    pub short: bool,
    /// What it wrote into its file.
    pub content: Arc<Vec<Seen>>,
}

/// Publication as the world sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Publication {
    /// Publications ever begun.
    pub begun: u8,
    /// Under way, or stalled.
    pub publishers: Vec<Publisher>,
    /// The publication that was recorded last for an offset, unless given up.
    pub live: BTreeMap<(Place, u64), u8>,
    /// Published files by their first offset.
    pub files: BTreeMap<(Place, u64), Arc<Vec<Seen>>>,
}

impl Publication {
    /// The offset after the last published one.
    pub fn end(&self, place: Place) -> u64 {
        self.files.iter().filter(|((of, _), _)| *of == place).map(|(_, content)| content.len() as u64).sum()
    }
}
