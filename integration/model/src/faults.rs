//! The faults of the simulation: what counts as one, and how often each is chosen.

use crate::{
    action::{Action, Late, PlainAction, PublicationAction},
    job::{Kind, Life, Start},
    rng::Rng,
    world::World,
};

/// Every fault that a long simulation must have injected; one that is missing makes it vacuous.
pub const ALL: &[&str] = &[
    "answer of AttachSink lost",
    "answer of CommitGroup lost",
    "answer of a plain append lost",
    "append altered",
    "append beyond the end",
    "append out of sequence",
    "call of a dead attempt",
    "checkpoint cancelled",
    "checkpoint declined",
    "commit out of order",
    "crash",
    "duplicates accepted",
    "file cut inside a block",
    "late Abort",
    "late Append",
    "late AttachSink",
    "late Begin",
    "late CommitGroup",
    "late OpenWriter",
    "late Prepare",
    "older state restored",
    "open transaction expired",
    "plain gap",
    "plain repeat",
    "plain writer fenced",
    "plain writer replaced",
    "prepare understated",
    "publication given up",
    "publisher stalled",
    "rescale",
    "savepoint",
    "second job",
    "split ended",
    "start without state, new run",
    "start without state, same run",
    "state under a new submission",
];

/// The fault that an action is, if it is one.
pub fn of(world: &World, action: &Action) -> Option<&'static str> {
    if let Some(attempt) = action.actor()
        && world.attempt(attempt).life == Life::Dead
    {
        return Some("call of a dead attempt");
    }
    Some(match action {
        Action::Start(start) => return start_fault(world, start),
        Action::Crash(_) => "crash",
        Action::Attach(_, true) => "answer of AttachSink lost",
        Action::Commit(_, _, true) => "answer of CommitGroup lost",
        Action::Commit(attempt, group, false) => {
            let first = world.attempt(*attempt).committables.first();
            return first.is_some_and(|first| first.group != *group).then_some("commit out of order");
        }
        Action::Cancel(_) => "checkpoint cancelled",
        Action::Decline(..) => "checkpoint declined",
        Action::Savepoint(..) => "savepoint",
        Action::Finish(..) => "split ended",
        Action::Expire(_) => "open transaction expired",
        Action::Late(late) => match late {
            Late::OpenWriter(..) => "late OpenWriter",
            Late::Attach(_) => "late AttachSink",
            Late::Begin(_) => "late Begin",
            Late::Append(..) => "late Append",
            Late::Stray(_) => "append beyond the end",
            Late::Gap(_) => "append out of sequence",
            Late::Altered(_) => "append altered",
            Late::Prepare(_) => "late Prepare",
            Late::Understated(_) | Late::Misread(_) => "prepare understated",
            Late::Abort(_) => "late Abort",
            Late::Commit(_) => "late CommitGroup",
        },
        Action::Plain(plain) => match plain {
            PlainAction::Init if world.plain.epoch > 0 => "plain writer replaced",
            PlainAction::Append { lost: true, .. } => "answer of a plain append lost",
            PlainAction::Repeat => "plain repeat",
            PlainAction::Gap => "plain gap",
            PlainAction::Stale => "plain writer fenced",
            _ => return None,
        },
        Action::Publication(publication) => match publication {
            PublicationAction::Intend { short: true, .. } => "file cut inside a block",
            PublicationAction::GiveUp(_) => "publication given up",
            PublicationAction::Publish(number) => {
                let live = world.publication.live.values().any(|live| live == number);
                return (!live).then_some("publisher stalled");
            }
            PublicationAction::Intend { .. } => return None,
        },
        _ => return None,
    })
}

/// Starts are told apart by what is unusual about them; the rarest first.
fn start_fault(world: &World, start: &Start) -> Option<&'static str> {
    let last = world.attempts.last();
    let known_run = world.attempts.iter().any(|job| job.run == start.run);
    Some(match start.restored {
        _ if start.accept_duplicates => "duplicates accepted",
        None if known_run => "start without state, same run",
        None => "start without state, new run",
        Some(_) if !known_run => "state under a new submission",
        Some(_) if world.attempts.iter().any(|job| job.life == Life::Running) => "second job",
        Some(_) if !is_recovery(world, start) => "older state restored",
        Some(_) if last.is_some_and(|job| job.parallelism != start.parallelism) => "rescale",
        Some(_) => return None,
    })
}

/// What Flink does by itself: the newest complete checkpoint, the same submission.
fn is_recovery(world: &World, start: &Start) -> bool {
    let newest = world.snapshots.iter().rfind(|(_, snapshot)| snapshot.kind == Kind::Checkpoint);
    !start.accept_duplicates
        && newest.is_some_and(|(key, snapshot)| start.restored == Some(*key) && start.run == snapshot.run)
}

/// Whether a job that runs, or is to run, takes this step.
pub fn is_of_a_running_job(world: &World, action: &Action) -> bool {
    matches!(action, Action::Start(_))
        || action.actor().is_some_and(|attempt| world.attempt(attempt).life == Life::Running)
}

/// How often an action's kind is chosen against others. Kinds are chosen first, then one action of the kind, so that the many
/// possible repeats do not drown the work.
fn weight(world: &World, action: &Action) -> (u8, u64) {
    if action.actor().is_some_and(|attempt| world.attempt(attempt).life == Life::Dead) {
        return (0, 10);
    }
    let alone = !world.attempts.iter().any(|job| job.life == Life::Running);
    match action {
        Action::Start(start) if is_recovery(world, start) => (1, if alone { 100 } else { 1 }),
        Action::Start(_) => (2, if alone { 40 } else { 1 }),
        Action::Crash(_) => (3, 1),
        Action::Cancel(_) => (4, 6),
        Action::Decline(..) => (5, 6),
        Action::Savepoint(..) => (6, 8),
        Action::Finish(..) => (7, 1),
        Action::Expire(_) => (8, 1),
        Action::Late(_) => (9, 20),
        Action::Plain(_) => (10, 10),
        Action::Publication(_) => (11, 10),
        Action::Attach(_, true) | Action::Commit(_, _, true) => (12, 8),
        _ => (13, 100),
    }
}

/// Chooses the next action.
pub fn choose(world: &World, possible: &mut Vec<Action>, rng: &mut Rng) -> Option<Action> {
    let kinds: Vec<(u8, u64)> = possible.iter().map(|action| weight(world, action)).collect();
    let mut distinct = kinds.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let total: u64 = distinct.iter().map(|(_, weight)| weight).sum();
    if total == 0 {
        return None;
    }
    let mut at = rng.below(total);
    let (kind, _) = distinct.into_iter().find(|(_, weight)| {
        let here = at < *weight;
        at = at.saturating_sub(*weight);
        here
    })?;
    let of_kind: Vec<usize> = (0..kinds.len()).filter(|index| kinds[*index].0 == kind).collect();
    let index = of_kind[rng.below(of_kind.len() as u64) as usize];
    Some(possible.swap_remove(index))
}
