//! The producer of plain appends and the gateway's two ways to append (protocol.md §3.10).

use sluice_schema::ids::{SegmentNumber, WriterId};
use sluice_txn::{
    ledger::Draft,
    protocol::{
        Outcome, events,
        events::{Contribution, Standing},
    },
};

use crate::{
    action::PlainAction,
    config::START_MS,
    event::plain_block,
    ids::{stream_id, stream_name, writer},
    plain::PLAIN_PLACE,
    world::World,
};

const ONCE: &str = "I22: a sequence is applied once, without a gap";
const FENCED: &str = "I11: a fenced writer changes nothing";
const RIGHTFUL: &str = "I40: a rightful call is answered";
/// The first writer a store names.
const WRITER: WriterId = WriterId::new(1);

/// Appends as the gateway does: all at once; if that is refused, by itself, less what is applied.
fn append(draft: &mut Draft<'_>, share: &Contribution) -> Outcome<()> {
    let skip = match events::standing(draft, stream_id(PLAIN_PLACE.stream), share)? {
        Standing::Applied => return Ok(()),
        Standing::Next => 0,
        Standing::Overlaps(applied) => applied,
    };
    let first_seq = share.first_seq + u64::from(skip);
    append_all(draft, &Contribution { first_seq, rows: share.rows - skip, ..share.clone() })
}

fn append_all(draft: &mut Draft<'_>, share: &Contribution) -> Outcome<()> {
    let block = plain_block(share.first_seq as u32, share.rows);
    let blocks = vec![(SegmentNumber::new(PLAIN_PLACE.segment.into()), block)];
    events::append(draft, stream_id(PLAIN_PLACE.stream), std::slice::from_ref(share), blocks, START_MS)?;
    Ok(())
}

impl World {
    pub(super) fn produce(&mut self, action: PlainAction) -> bool {
        let (epoch, applied, acknowledged) = (self.plain.epoch, self.plain.applied, self.plain.acknowledged);
        let share =
            |epoch: u64, first: u32, rows: u32| Contribution { writer: WRITER, epoch, first_seq: first.into(), rows };
        match action {
            PlainAction::Init => self.init_producer(),
            PlainAction::Append { rows, lost } => {
                let share = share(epoch, acknowledged + 1, rows.into());
                let end = acknowledged + u32::from(rows);
                if !self.send(&share) {
                    return false;
                }
                self.plain.applied = applied.max(end);
                if lost {
                    self.spent.lost = self.spent.lost.saturating_add(1);
                } else {
                    self.plain.acknowledged = end;
                }
                true
            }
            PlainAction::Repeat => self.unmoved(ONCE, &share(epoch, 1, 1)),
            PlainAction::Gap => self.unmoved(ONCE, &share(epoch, applied + 2, 1)),
            PlainAction::Stale => self.unmoved(FENCED, &share(epoch.saturating_sub(1), applied + 1, 1)),
        }
    }

    fn init_producer(&mut self) -> bool {
        match self.call(|draft| events::init_writer(draft, &stream_name(PLAIN_PLACE.stream), &writer())) {
            Ok(((_, _, epoch, last), _)) => {
                if last != u64::from(self.plain.applied) {
                    self.blame(ONCE, format!("InitWriter says {last}, {} events were applied", self.plain.applied));
                }
                if epoch <= self.plain.epoch {
                    self.blame(FENCED, format!("epoch {epoch} follows epoch {}", self.plain.epoch));
                }
                self.plain.epoch = epoch;
                self.plain.acknowledged = self.plain.applied;
            }
            Err(refusal) => self.blame(RIGHTFUL, format!("InitWriter: {}", refusal.message)),
        }
        true
    }

    /// An append of the present process: taken, by itself if not at once.
    fn send(&mut self, share: &Contribution) -> bool {
        if self.call(|draft| append_all(draft, share)).is_ok() {
            return true;
        }
        let called = self.call(|draft| append(draft, share));
        if let Err(refusal) = &called {
            self.blame(RIGHTFUL, format!("append from sequence {}: {}", share.first_seq, refusal.message));
        }
        called.is_ok()
    }

    /// An append that must change nothing, either way.
    fn unmoved(&mut self, promise: &'static str, share: &Contribution) -> bool {
        let at_once = self.call(|draft| append_all(draft, share));
        let alone = self.call(|draft| append(draft, share));
        let changed = |called: Result<((), bool), _>| called.is_ok_and(|(_, changed)| changed);
        if changed(at_once) || changed(alone) {
            self.blame(promise, format!("sequence {} of epoch {} was applied", share.first_seq, share.epoch));
        }
        false
    }
}
