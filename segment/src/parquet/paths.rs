//! Names of Parquet files: the only place that builds or reads them.
//!
//! Paths are relative to the folder `parquet` of the data directory and always have exactly four parts:
//!
//! ```text
//! <scope>/<stream>/segment-<n>/<first:020>-<last:020>.parquet               published; last is inclusive
//! <scope>/<stream>/segment-<n>/.<first:020>-<last:020>.<uuid>.publishing    under publication
//! <scope>/<stream>/segment-<n>/.<first:020>-<last:020>.<uuid>.orphan        found without a ledger row, put aside
//! ```
//!
//! Scope and stream obey the naming rule (`[a-z0-9][a-z0-9._-]{0,127}`): no `/`, no leading dot, one case. So no name leaves the root, no two segments share
//! a folder, and a pattern `*.parquet` never matches a hidden file. A hidden name carries a fresh UUID and is never used twice.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sluice_schema::ids::SegmentNumber;
use sluice_schema::names::StreamName;
use uuid::Uuid;

const FOLDER_PREFIX: &str = "segment-";
const PUBLISHED_SUFFIX: &str = ".parquet";
const PUBLISHING_SUFFIX: &str = ".publishing";
const ORPHAN_SUFFIX: &str = ".orphan";
const OFFSET_DIGITS: usize = 20;

/// Where a file of a segment lies. `Display` gives the relative path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FilePath {
    /// The stream.
    pub stream: StreamName,
    /// The segment.
    pub segment: SegmentNumber,
    /// Its offsets, at least one.
    pub offsets: Range<u64>,
    /// What it is.
    pub state: FileState,
}

/// What a file is, as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileState {
    /// Seen by every pattern.
    Published,
    /// Under publication, with an id never used before.
    Publishing(Uuid),
    /// Found under a published name that the ledger does not know, and hidden.
    Orphan(Uuid),
}

/// The folder of a stream's files.
pub fn stream_folder(stream: &StreamName) -> String {
    format!("{}/{}", stream.scope, stream.name)
}

/// The folder of a segment's files.
pub fn segment_folder(stream: &StreamName, segment: SegmentNumber) -> String {
    format!("{}/{FOLDER_PREFIX}{}", stream_folder(stream), segment.get())
}

/// The path below `root` of a relative path from the ledger; none unless it is one that [`FilePath`] makes.
pub fn below(root: &Path, relative: &str) -> Option<PathBuf> {
    FilePath::parse(relative).map(|path| path.below(root))
}

impl FilePath {
    /// The name of a file to be published. None if `offsets` is empty.
    pub fn published(stream: StreamName, segment: SegmentNumber, offsets: Range<u64>) -> Option<Self> {
        (!offsets.is_empty()).then_some(Self { stream, segment, offsets, state: FileState::Published })
    }

    /// The same range in another state.
    pub fn in_state(&self, state: FileState) -> Self {
        Self { state, ..self.clone() }
    }

    /// Reads a relative path; none unless it is exactly what `Display` writes.
    pub fn parse(relative: &str) -> Option<Self> {
        let mut parts = relative.split('/');
        let (scope, name, folder, file) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let stream = StreamName::parse_parts(scope, name).ok()?;
        let segment = SegmentNumber::new(folder.strip_prefix(FOLDER_PREFIX)?.parse().ok()?);
        let (range, state) = match file.strip_suffix(PUBLISHED_SUFFIX) {
            Some(range) => (range, FileState::Published),
            None => hidden_name(file)?,
        };
        let (first, last) = range.split_once('-')?;
        let offsets = first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?;
        let path = Self { stream, segment, offsets, state };
        (!path.offsets.is_empty() && path.to_string() == relative).then_some(path)
    }

    /// The path below `root`.
    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(self.to_string())
    }

    fn file_name(&self) -> String {
        let (first, last) = (self.offsets.start, self.offsets.end.saturating_sub(1));
        let range = format!("{first:0OFFSET_DIGITS$}-{last:0OFFSET_DIGITS$}");
        match self.state {
            FileState::Published => format!("{range}{PUBLISHED_SUFFIX}"),
            FileState::Publishing(id) => format!(".{range}.{}{PUBLISHING_SUFFIX}", id.as_hyphenated()),
            FileState::Orphan(id) => format!(".{range}.{}{ORPHAN_SUFFIX}", id.as_hyphenated()),
        }
    }
}

/// The range's text and the state of `.<range>.<uuid>.<suffix>`.
fn hidden_name(file: &str) -> Option<(&str, FileState)> {
    let (range, rest) = file.strip_prefix('.')?.split_once('.')?;
    let id = |suffix| rest.strip_suffix(suffix).and_then(|id| Uuid::try_parse(id).ok());
    let publishing = id(PUBLISHING_SUFFIX).map(FileState::Publishing);
    Some((range, publishing.or_else(|| id(ORPHAN_SUFFIX).map(FileState::Orphan))?))
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", segment_folder(&self.stream, self.segment), self.file_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Component;

    /// Valid names, those that look like our own folders and files among them.
    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("segment-0".to_owned()),
            Just("segment-1".to_owned()),
            Just("0..".to_owned()),
            Just(format!("{:020}-{:020}.parquet", 0, 9)),
            (0_u8..36, proptest::collection::vec(0_usize..39, 0..128)).prop_map(|(first, rest)| {
                let letters = b"abcdefghijklmnopqrstuvwxyz0123456789._-";
                let rest = rest.into_iter().map(|letter| letters[letter]);
                std::iter::once(letters[usize::from(first)]).chain(rest).map(char::from).collect()
            }),
        ]
    }

    prop_compose! {
        fn path()(scope in name(), stream in name(), segment in prop_oneof![0_u32..3, any::<u32>()], first in prop_oneof![0_u64..3, 0..u64::MAX - 1],
                  rows in prop_oneof![1_u64..3, 1..u64::MAX], state in 0_u8..3, id: u128) -> FilePath {
            let stream = StreamName::parse_parts(&scope, &stream).unwrap();
            let file = FilePath::published(stream, SegmentNumber::new(segment), first..first.saturating_add(rows)).unwrap();
            let id = Uuid::from_u128(id);
            file.in_state([FileState::Published, FileState::Publishing(id), FileState::Orphan(id)][usize::from(state)])
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Paths are read back, stay below the root at depth four, and the pattern `*.parquet` matches published files alone.
        #[test]
        fn paths_are_read_back_and_stay_below_the_root(path in path()) {
            let text = path.to_string();
            prop_assert_eq!(FilePath::parse(&text), Some(path.clone()));
            let full = below(Path::new("/data/parquet"), &text).unwrap();
            let parts: Vec<_> = full.strip_prefix("/data/parquet").unwrap().components().collect();
            prop_assert_eq!(parts.len(), 4);
            for part in parts {
                prop_assert!(matches!(part, Component::Normal(name) if name.len() <= 255));
            }
            prop_assert_eq!(text.ends_with(".parquet"), path.state == FileState::Published);
            prop_assert_eq!(full.file_name().unwrap().to_str().unwrap().starts_with('.'), path.state != FileState::Published);
        }

        /// Different (scope, stream, segment): different folders, neither inside the other. Different files: different paths.
        #[test]
        fn no_two_segments_share_a_folder(one in path(), other in path()) {
            let folders = [&one, &other].map(|path| PathBuf::from(segment_folder(&path.stream, path.segment)));
            let same = (&one.stream, one.segment) == (&other.stream, other.segment);
            prop_assert_eq!(folders[0] == folders[1], same);
            prop_assert!(same || !folders[0].starts_with(&folders[1]) && !folders[1].starts_with(&folders[0]));
            prop_assert_eq!(one == other, one.to_string() == other.to_string());
        }

        /// Any text is either refused or exactly a path of ours.
        #[test]
        fn other_text_is_refused(path in path(), at in any::<prop::sample::Index>(), with in "[./0-9a-zA-Z_ -]{0,3}") {
            let mut text = path.to_string();
            let at = at.index(text.len());
            text.replace_range(at..at + 1, &with);
            if let Some(parsed) = FilePath::parse(&text) {
                prop_assert_eq!(parsed.to_string(), text);
            }
        }
    }

    #[test]
    fn foreign_paths_are_refused() {
        let published = "s/t/segment-3/00000000000000000005-00000000000000000009.parquet";
        let path = FilePath::parse(published).unwrap();
        assert_eq!(
            (path.segment, path.offsets.clone(), path.state),
            (SegmentNumber::new(3), 5..10, FileState::Published)
        );
        let hidden = path.in_state(FileState::Publishing(Uuid::from_u128(7))).to_string();
        assert_eq!(
            hidden,
            "s/t/segment-3/.00000000000000000005-00000000000000000009.00000000-0000-0000-0000-000000000007.publishing"
        );
        assert_eq!(FilePath::parse(&hidden).unwrap().in_state(FileState::Published), path);
        for text in [
            "",
            "/",
            "s/t/segment-3",
            "s/t/segment-3/",
            &format!("/{published}"),
            &format!("{published}/"),
            &format!("x/{published}"),
            "../t/segment-3/00000000000000000005-00000000000000000009.parquet",
            "s/../segment-3/00000000000000000005-00000000000000000009.parquet",
            "s/t/segment-03/00000000000000000005-00000000000000000009.parquet",
            "s/t/segment-+3/00000000000000000005-00000000000000000009.parquet",
            "s/t/segment-4294967296/00000000000000000005-00000000000000000009.parquet",
            "s/t/segment-3/5-9.parquet",
            "s/t/segment-3/00000000000000000009-00000000000000000005.parquet",
            "s/t/segment-3/00000000000000000005-18446744073709551615.parquet",
            "s/t/segment-3/.00000000000000000005-00000000000000000009.parquet",
            "s/t/segment-3/.00000000000000000005-00000000000000000009.publishing",
            "s/t/segment-3/00000000000000000005-00000000000000000009.parquet.bak",
        ] {
            assert_eq!(FilePath::parse(text), None, "{text}");
        }
        assert_eq!(FilePath::published(path.stream, SegmentNumber::new(0), 5..5), None);
    }
}
