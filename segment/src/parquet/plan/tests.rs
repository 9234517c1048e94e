//! The planner as a truth table, and its invariants for random segments.

use super::*;
use proptest::prelude::*;

const NOW: u64 = 1_000_000;

fn policy() -> TieringPolicy {
    TieringPolicy { file_bytes_target: 1000, file_extents_max: 4, file_bytes_min: 100, age_ms_max: 600 }
}

/// Extents of 10 rows each from offset 50 on, given as (bytes, age in ms, schema).
fn extents(list: &[(u64, u64, u64)]) -> Vec<PendingExtent> {
    let extent = |(index, (bytes, age, schema_id)): (usize, &(u64, u64, u64))| PendingExtent {
        base_offset: 50 + 10 * index as u64,
        rows: 10,
        bytes: *bytes,
        commit_ms: NOW - age,
        schema_id: *schema_id,
    };
    list.iter().enumerate().map(extent).collect()
}

fn facts(sealed: bool, flush_below: u64, log_full: bool) -> SegmentFacts {
    SegmentFacts { parquet_end: 50, sealed, flush_below, log_full, writers_held: false }
}

#[test]
fn truth_table() {
    use Reason::*;
    let open = facts(false, 0, false);
    let held = |facts| SegmentFacts { writers_held: true, ..facts };
    type Row<'a> = (&'a str, SegmentFacts, &'a [(u64, u64, u64)], &'a [(u64, u64, Reason)], Option<u64>);
    let table: &[Row] = &[
        ("nothing", open, &[], &[], None),
        ("nothing, sealed", facts(true, 900, true), &[], &[], None),
        ("small and young waits for its age", open, &[(10, 5, 1)], &[], Some(NOW + 595)),
        ("one byte below the target", open, &[(999, 5, 1)], &[], Some(NOW + 595)),
        ("the target in one extent", open, &[(1000, 5, 1)], &[(50, 60, Full)], None),
        ("the target in two extents", open, &[(999, 5, 1), (1, 5, 1)], &[(50, 70, Full)], None),
        ("full, then a young rest", open, &[(1000, 9, 1), (10, 5, 1)], &[(50, 60, Full)], Some(NOW + 595)),
        ("two full", open, &[(5000, 9, 1), (5000, 5, 1)], &[(50, 60, Full), (60, 70, Full)], None),
        (
            "four extents are full",
            open,
            &[(1, 9, 1), (1, 9, 1), (1, 9, 1), (1, 9, 1), (1, 9, 1)],
            &[(50, 90, Full)],
            Some(NOW + 591),
        ),
        ("just too young", open, &[(10, 599, 1), (10, 5, 1)], &[], Some(NOW + 1)),
        ("just old enough takes the young ones along", open, &[(10, 600, 1), (10, 5, 1)], &[(50, 70, Age)], None),
        (
            "age counts from the rest's first extent",
            open,
            &[(1000, 900, 1), (10, 5, 1)],
            &[(50, 60, Full)],
            Some(NOW + 595),
        ),
        ("sealed", facts(true, 0, false), &[(1, 0, 1)], &[(50, 60, Sealed)], None),
        (
            "full before sealed",
            facts(true, 0, false),
            &[(1000, 0, 1), (1, 0, 1)],
            &[(50, 60, Full), (60, 70, Sealed)],
            None,
        ),
        ("asked for", facts(false, 60, false), &[(1, 0, 1)], &[(50, 60, Flush)], None),
        ("asked for the first offset only", facts(false, 51, false), &[(1, 0, 1), (1, 0, 1)], &[(50, 70, Flush)], None),
        ("asked for what is in Parquet already", facts(false, 50, false), &[(1, 0, 1)], &[], Some(NOW + 600)),
        (
            "the full file alone covers what was asked for",
            facts(false, 60, false),
            &[(1000, 0, 1), (1, 0, 1)],
            &[(50, 60, Full)],
            Some(NOW + 600),
        ),
        ("log full, worth a file", facts(false, 0, true), &[(100, 0, 1)], &[(50, 60, LogFull)], None),
        ("log full, not worth a file", facts(false, 0, true), &[(99, 0, 1)], &[], Some(NOW + 600)),
        ("writers held, however small", held(open), &[(1, 0, 1)], &[(50, 60, Held)], None),
        ("writers held and nothing there", held(open), &[], &[], None),
        ("full before writers held", held(open), &[(1000, 0, 1), (1, 0, 1)], &[(50, 60, Full), (60, 70, Held)], None),
        ("asked for before writers held", held(facts(false, 60, false)), &[(1, 0, 1)], &[(50, 60, Flush)], None),
        ("full log before writers held", held(facts(false, 0, true)), &[(100, 0, 1)], &[(50, 60, LogFull)], None),
        ("another schema", open, &[(1, 0, 1), (1, 0, 2)], &[(50, 60, Schema)], Some(NOW + 600)),
        (
            "another schema twice, sealed",
            facts(true, 0, false),
            &[(1, 0, 1), (1, 0, 2), (1, 0, 1)],
            &[(50, 60, Schema), (60, 70, Schema), (70, 80, Sealed)],
            None,
        ),
        (
            "sealed before asked for, old and full log",
            facts(true, 999, true),
            &[(500, 900, 1)],
            &[(50, 60, Sealed)],
            None,
        ),
        ("asked for before old and full log", facts(false, 999, true), &[(500, 900, 1)], &[(50, 60, Flush)], None),
        ("old before full log", facts(false, 0, true), &[(500, 900, 1)], &[(50, 60, Age)], None),
    ];
    for (name, facts, list, files, due_ms) in table {
        let plan = plan(facts, extents(list), &policy(), NOW).unwrap();
        let found: Vec<_> = plan.files.iter().map(|file| (file.offsets.start, file.offsets.end, file.reason)).collect();
        assert_eq!((&found[..], plan.due_ms), (*files, *due_ms), "{name}");
    }
}

#[test]
fn a_clock_set_back_makes_nothing_old() {
    let young = extents(&[(1, 0, 1)]);
    assert_eq!(plan(&facts(false, 0, false), young, &policy(), 5).unwrap().files, []);
}

#[test]
fn extents_that_do_not_tile_are_refused() {
    let open = facts(false, 0, false);
    let good = extents(&[(1, 0, 1), (1, 0, 1), (1, 0, 1)]);
    let hole = [good[0], good[2]];
    assert_eq!(plan(&open, hole, &policy(), NOW), Err(Gap { expected: 60, found: 70 }));
    let twice = [good[0], good[0]];
    assert_eq!(plan(&open, twice, &policy(), NOW), Err(Gap { expected: 60, found: 50 }));
    assert_eq!(plan(&open, [good[1]], &policy(), NOW), Err(Gap { expected: 50, found: 60 }));
    let empty = [PendingExtent { rows: 0, ..good[0] }];
    assert!(plan(&open, empty, &policy(), NOW).is_err());
    let beyond = [PendingExtent { rows: u64::MAX, ..good[0] }];
    assert!(plan(&open, beyond, &policy(), NOW).is_err());
}

proptest! {
    /// Files tile a prefix from `parquet_end`, never mix schemas, never grow beyond the limits by more than their last extent, and
    /// everything asked for is in them.
    #[test]
    fn files_tile_a_prefix(
        list in proptest::collection::vec((1_u64..800, 0_u64..1200, 1_u64..3), 0..30),
        sealed: bool, flush in 0_u64..400, log_full: bool, writers_held: bool,
    ) {
        let all = extents(&list);
        let facts = SegmentFacts { writers_held, ..facts(sealed, flush, log_full) };
        let plan = plan(&facts, all.clone(), &policy(), NOW).unwrap();
        let mut at = facts.parquet_end;
        for file in &plan.files {
            prop_assert_eq!(file.offsets.start, at);
            let inside: Vec<_> = all.iter().filter(|extent| file.offsets.contains(&extent.base_offset)).collect();
            prop_assert_eq!(inside.iter().map(|extent| extent.rows).sum::<u64>(), file.offsets.end - at);
            prop_assert_eq!(inside.iter().map(|extent| extent.bytes).sum::<u64>(), file.bytes);
            prop_assert_eq!(inside.len(), file.extents);
            prop_assert!(inside.iter().all(|extent| extent.schema_id == file.schema_id));
            prop_assert!(file.extents <= 4);
            prop_assert!(file.bytes - inside.last().unwrap().bytes < 1000);
            at = file.offsets.end;
        }
        let end = 50 + 10 * all.len() as u64;
        prop_assert!(at >= facts.flush_below.min(end));
        prop_assert_eq!(plan.due_ms.is_none(), at == end);
        prop_assert!(!(sealed || writers_held) || at == end);
        let rest: Vec<_> = all.iter().filter(|extent| extent.base_offset >= at).collect();
        prop_assert!(rest.len() < 4 && rest.iter().map(|extent| extent.bytes).sum::<u64>() < 1000);
        prop_assert!(rest.first().is_none_or(|extent| NOW - extent.commit_ms < 600));
    }
}
