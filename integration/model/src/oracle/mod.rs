//! What must hold, said over the data and over what the world outside knows, never by asking the rules.
//!
//! * [`finality`] looks at each change of the ledger: outcomes are final, ids and epochs grow, nothing is added to what is prepared;
//! * [`positions`] looks at each change of a segment: what readers saw stays, what is new belongs to one commit;
//! * [`exactly_once`] looks at each state: what is visible is exactly what the committed checkpoints cover;
//! * [`restore`] says which attach must be taken and which refused, and which snapshots must stay restorable;
//! * [`progress`] takes a state to its end without faults.
//!
//! Expectations of single calls stand beside the calls, in [`crate::step`].

pub mod exactly_once;
pub mod finality;
pub mod positions;
pub mod progress;
pub mod restore;

use sluice_txn::{key::Key, protocol::invariants};

use crate::{
    ids::Place,
    ledger::Changed,
    world::{Violation, World},
};

/// Looks at a change that a rule just made, and moves what readers have seen.
pub fn follow(world: &mut World, changed: &[Changed]) {
    if let Some(violation) = finality::check(changed) {
        world.blame(violation.promise, violation.found);
    }
    for change in changed {
        if let Some(Key::Segment(id)) = Key::decode(&change.key) {
            let (stream, segment) = (id.stream.get().saturating_sub(1), id.segment.get());
            positions::follow(world, Place { stream: stream as u8, segment: segment as u8 });
        }
    }
}

/// The broken promise of a state, if any.
pub fn judge(world: &World) -> Option<Violation> {
    if let Some(violation) = &world.violation {
        return Some((**violation).clone());
    }
    match invariants::check(&world.ledger) {
        Ok(found) => {
            if let Some(first) = found.into_iter().next() {
                return Some(Violation { promise: first.invariant, found: first.message });
            }
        }
        Err(error) => return Some(Violation { promise: "the ledger reads", found: error.to_string() }),
    }
    exactly_once::check_world(world).or_else(|| restore::still_restorable(world))
}
