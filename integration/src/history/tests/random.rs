//! Random sound histories pass; each damage to them is found under its name.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::model;
use crate::history::{Damage, check};

fn steps() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 20..250)
}

fn damages() -> impl Strategy<Value = Damage> {
    prop::sample::select(Damage::all().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn sound_histories_pass(steps in steps()) {
        let report = check(&model::history(&steps));
        prop_assert!(report.total() == 0, "{report}");
    }

    #[test]
    fn damaged_histories_do_not(steps in steps(), damage in damages(), pick in any::<u64>()) {
        let mut history = model::history(&steps);
        if damage.apply(&mut history, pick) {
            let report = check(&history);
            prop_assert!(report.counts.contains_key(&damage.fitting()), "{damage:?} is not seen: {report}");
        }
    }
}

/// The property above would hold as well if no history could be damaged: most can, in every way.
#[test]
fn every_damage_is_done_and_found() {
    let mut state = 0x9e37_79b9_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    let mut found = BTreeMap::new();
    for _ in 0..40 {
        let steps: Vec<u32> = (0..300).map(|_| next()).collect();
        let sound = model::history(&steps);
        for damage in Damage::all() {
            let mut history = sound.clone();
            if damage.apply(&mut history, next().into()) {
                let report = check(&history);
                assert!(report.counts.contains_key(&damage.fitting()), "{damage:?} is not seen: {report}");
                *found.entry(format!("{damage:?}")).or_insert(0) += 1;
            }
        }
    }
    for damage in Damage::all() {
        let times = found.get(&format!("{damage:?}")).copied().unwrap_or(0);
        assert!(times >= 20, "{damage:?} was done {times} times");
    }
}

/// A damage is done to the history alone: without one it stays what it was.
#[test]
fn nothing_to_damage_is_said() {
    for damage in Damage::all() {
        let mut history = model::history(&[]);
        let before = history.clone();
        assert!(!damage.apply(&mut history, 3), "{damage:?}");
        assert_eq!(history, before, "{damage:?}");
    }
}
