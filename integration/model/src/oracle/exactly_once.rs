//! What is visible is exactly what the committed checkpoints cover (I1, I2, I5, I13, I21, I22).
//!
//! In each line, the events of each split run from the line's first record to the cut of its last committed group: each once, in
//! order, in every stream. Between two commits nothing changes ([`super::positions`]), so this holding in each state is atomicity at
//! each `commit_seq`.

use std::collections::BTreeMap;

use crate::{
    event::Event,
    ids::Place,
    world::{Line, Seen, Violation, World},
};

/// What is visible, by segment.
pub type Visible = BTreeMap<Place, Vec<Seen>>;

/// Checks a world.
pub fn check_world(world: &World) -> Option<Violation> {
    let mut cuts: Vec<Vec<u8>> = world.lines.iter().map(|line| line.start.clone()).collect();
    for outcome in world.committed.iter() {
        if let Some(minted) = world.minted.get(&outcome.group) {
            cuts[usize::from(minted.line)].clone_from(&minted.cut);
        }
    }
    check(&world.seen, &world.lines, &cuts, world.plain.applied)
}

/// Checks what is visible against the cut that each line has reached and the plain events applied.
pub fn check(visible: &Visible, lines: &[Line], cuts: &[Vec<u8>], plain: u32) -> Option<Violation> {
    let mut streams: Vec<u8> = visible.keys().map(|place| place.stream).collect();
    streams.dedup();
    streams.into_iter().find_map(|stream| {
        let segments = visible.iter().filter(|(place, _)| place.stream == stream).map(|(_, seen)| seen.as_slice());
        // The plain producer writes to the first stream only.
        let plain = if stream == 0 { plain } else { 0 };
        check_stream(segments, lines, cuts, plain)
            .map(|violation| Violation { found: format!("stream t{stream}: {}", violation.found), ..violation })
    })
}

fn check_stream<'a>(
    segments: impl Iterator<Item = &'a [Seen]>,
    lines: &[Line],
    cuts: &[Vec<u8>],
    plain: u32,
) -> Option<Violation> {
    let mut next: Vec<Vec<u8>> = lines.iter().map(|line| line.start.clone()).collect();
    let mut next_plain = 1;
    let mut all = Vec::new();
    for seen in segments.flatten() {
        all.push(seen.event);
        match seen.event {
            Event::Plain(seq) if seq != next_plain => {
                let found = format!("plain event {seq} follows {}", next_plain - 1);
                return Some(Violation { promise: "I22: plain events are applied once, in order", found });
            }
            Event::Plain(_) => next_plain += 1,
            Event::Record(record) => {
                let expected =
                    next.get_mut(usize::from(record.line)).and_then(|line| line.get_mut(usize::from(record.split)));
                let Some(expected) = expected else {
                    return Some(Violation { promise: "I6: no ghost is visible", found: record.to_string() });
                };
                if lines[usize::from(record.line)].forked {
                    continue;
                }
                if record.number != *expected {
                    let twice = record.number < *expected;
                    let promise = if twice {
                        "I1: no event is visible twice"
                    } else {
                        "I2, I21: no event is missing before another"
                    };
                    return Some(Violation {
                        promise,
                        found: format!("{record} is visible, expected number {expected}"),
                    });
                }
                *expected += 1;
            }
        }
    }
    if next_plain != plain + 1 {
        let found = format!("{plain} plain events were applied, {} are visible", next_plain - 1);
        return Some(Violation { promise: "I2: what was applied is visible", found });
    }
    all.sort_unstable();
    if let Some(pair) = all.windows(2).find(|pair| pair[0] == pair[1]) {
        return Some(Violation {
            promise: "I1: no event of a transaction is visible twice",
            found: format!("{:?}", pair[0]),
        });
    }
    for ((line, reached), (index, cut)) in lines.iter().zip(&next).zip(cuts.iter().enumerate()) {
        if !line.forked && reached != cut {
            let found =
                format!("line {index} is visible up to {reached:?}, its last committed checkpoint covers {cut:?}");
            return Some(Violation {
                promise: "I2, I5: a committed checkpoint is visible whole, and nothing beyond it",
                found,
            });
        }
    }
    None
}
