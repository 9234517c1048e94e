use std::ops::Range;
use std::path::Path;

use super::Lsn;
use super::error::OpenError;
use super::frame::PAGE;
use super::recover::RecoveredFrame;
use super::scan::find_files;
use crate::env::Disk;

/// Gives the facts of the frames in `wanted` (half-open), in order, and changes nothing; [`super::Log`] may be writing meanwhile.
/// Answers the first frame that was not given: `wanted.end`, or one that is missing or whose header or facts are damaged.
///
/// # Errors
/// When the directory or a file can't be read at all.
pub fn replay(
    disk: &dyn Disk,
    dir: &Path,
    wanted: Range<Lsn>,
    on_frame: &mut dyn FnMut(RecoveredFrame),
) -> Result<Lsn, OpenError> {
    let mut expected = wanted.start;
    let files = find_files(disk, dir)?;
    let begins = |first_lsn: Lsn| first_lsn <= wanted.start;
    let first = files.iter().rposition(|found| found.header.is_some_and(|header| begins(header.first_lsn)));
    for found in files.iter().skip(first.unwrap_or(0)) {
        if expected >= wanted.end || found.header.is_none() {
            break;
        }
        let file = found.open(disk)?;
        let mut position = PAGE;
        while expected < wanted.end
            && let Some(frame) = file.next_frame(position)?
        {
            if frame.lsn > expected {
                return Ok(expected);
            }
            if frame.lsn == expected {
                let Some(facts) = file.facts(&frame)? else { return Ok(expected) };
                on_frame(RecoveredFrame { lsn: frame.lsn, facts });
                expected = expected.next();
            }
            position = frame.position + frame.total_bytes;
        }
    }
    Ok(expected)
}
