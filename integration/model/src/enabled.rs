//! Which actions a configuration allows in a state.

use crate::{
    action::{Action, Late, PlainAction, PublicationAction},
    config::{Config, Restores},
    ids::Place,
    job::{Attempt, Kind, Life, Sent, Start},
    plain::PLAIN_PLACE,
    world::World,
};

/// Puts the actions of a state into `actions`.
pub fn actions(world: &World, config: &Config, actions: &mut Vec<Action>) {
    for (number, job) in (0u8..).zip(&world.attempts) {
        let running = job.life == Life::Running;
        if running || (job.life == Life::Dead && world.spent.late < config.late) {
            writers(number, job, config, actions);
            attach(number, job, world, config, actions);
            commits(number, job, world, config, actions);
        }
        if running {
            checkpoints(number, job, config, actions);
            if !config.coarse && world.attempts.len() < usize::from(config.attempts) {
                actions.push(Action::Crash(number));
            }
        }
        if world.spent.expired < config.expired {
            // Time passes over prepared ones as well, and must do nothing to them.
            let idle = job.subtasks.iter().flat_map(|subtask| &subtask.sent).filter(|sent| !sent.ended);
            actions.extend(idle.map(|sent| Action::Expire(sent.txn)));
        }
        if config.redeliver {
            repeats(number, job, world, config, actions);
        }
    }
    starts(world, config, actions);
    if config.plain > 0 {
        plain(world, config, actions);
    }
    if config.publications > 0 {
        publications(world, config, actions);
    }
}

fn writers(number: u8, job: &Attempt, config: &Config, actions: &mut Vec<Action>) {
    let last = last_checkpoint(config);
    for (subtask, writer) in (0u8..).zip(&job.subtasks) {
        if writer.epoch.is_none() && !config.coarse {
            actions.push(Action::OpenWriter(number, subtask));
        }
        if writer.epoch.is_none() && !config.coarse {
            continue;
        }
        let current = writer.current();
        // A dead attempt passes no barrier, so its late Prepare is a step of its own.
        let apart = job.may_prepare(config) && (!config.coarse || job.life == Life::Dead);
        if apart && current.is_some_and(|sent| !sent.prepared && !sent.records.is_empty()) {
            actions.push(Action::Prepare(number, subtask));
        }
        if writer.passed >= last || current.is_some_and(|sent| sent.prepared) {
            continue;
        }
        for split in job.splits_of(subtask) {
            let written = current.map_or(0, |sent| sent.records.iter().filter(|(of, _)| *of == split).count());
            if !job.finished[usize::from(split)] && written < usize::from(config.records) {
                actions.push(Action::Write(number, split));
            }
        }
    }
}

/// Batch jobs have one barrier: the end of the input.
fn last_checkpoint(config: &Config) -> u8 {
    if config.batch { 1 } else { config.checkpoints }
}

fn attach(number: u8, job: &Attempt, world: &World, config: &Config, actions: &mut Vec<Action>) {
    // In batch jobs a blocking exchange puts the attach behind the writers.
    if job.incarnation.is_some() || (config.batch && !job.aligned(1)) {
        return;
    }
    match job.read {
        None if !job.attach_sent && !config.coarse => actions.push(Action::Read(number)),
        None if job.attach_sent => {}
        _ => {
            actions.push(Action::Attach(number, false));
            if !job.attach_sent && world.spent.lost < config.lost {
                actions.push(Action::Attach(number, true));
            }
        }
    }
}

fn commits(number: u8, job: &Attempt, world: &World, config: &Config, actions: &mut Vec<Action>) {
    let first = if config.reorder { usize::MAX } else { 1 };
    for committable in job.committables.iter().take(first).filter(|committable| job.may_commit(committable)) {
        actions.push(Action::Commit(number, committable.group, false));
        if world.spent.lost < config.lost && world.outcome(committable.group).is_none() {
            actions.push(Action::Commit(number, committable.group, true));
        }
    }
}

fn checkpoints(number: u8, job: &Attempt, config: &Config, actions: &mut Vec<Action>) {
    let last = last_checkpoint(config);
    for (subtask, writer) in (0u8..).zip(&job.subtasks) {
        let next = writer.passed + 1;
        let ready = match writer.current() {
            Some(sent) => sent.prepared || config.coarse,
            None => config.idle,
        };
        let room = config.batch || job.under_way(next) <= config.concurrent;
        if job.may_prepare(config)
            && next <= last
            && ready
            && room
            && (writer.epoch.is_some() || config.coarse)
            && !job.is_finished(subtask)
        {
            actions.push(Action::Barrier(number, subtask));
        }
    }
    let next = job.minted + 1;
    let begun = job.subtasks.iter().any(|subtask| subtask.passed >= next);
    if begun && next <= last {
        if job.aligned(next) {
            if job.incarnation.is_some() {
                actions.push(Action::Mint(number));
            }
        } else if config.cancels && next < last {
            actions.push(Action::Cancel(number));
        }
    }
    for pending in &job.pending {
        actions.push(Action::Complete(number, pending.checkpoint));
        if config.savepoints {
            actions.push(Action::Savepoint(number, pending.checkpoint));
        }
        if config.declines {
            actions.push(Action::Decline(number, pending.checkpoint));
        }
    }
    if job.completed > job.notified {
        actions.push(Action::Notify(number));
    }
    if job.incarnation.is_some() && !job.emitted.is_empty() {
        actions.push(Action::Look(number));
    }
    if config.bounded {
        let splits = (0u8..).zip(&job.finished).filter(|(_, finished)| !**finished);
        actions.extend(splits.map(|(split, _)| Action::Finish(number, split)));
    }
}

fn starts(world: &World, config: &Config, actions: &mut Vec<Action>) {
    let running = world.attempts.iter().filter(|job| job.life == Life::Running).count();
    let room = config.coarse || running < usize::from(config.live);
    if world.attempts.len() >= usize::from(config.attempts) || !room {
        return;
    }
    let next_run = world.attempts.iter().map(|job| job.run).max().map_or(0, |run| run + 1);
    let complete = |kind: Kind| world.snapshots.iter().filter(move |(_, snapshot)| snapshot.kind == kind);
    let mut push = |restored, accept_duplicates, run| {
        for parallelism in config.parallelisms {
            actions.push(Action::Start(Start { restored, accept_duplicates, run, parallelism: *parallelism }));
        }
    };
    for (key, snapshot) in world.snapshots.iter() {
        let newest = complete(Kind::Checkpoint).next_back().is_some_and(|(newest, _)| newest == key);
        if config.restores == Restores::Newest && !newest {
            continue;
        }
        push(Some(*key), false, snapshot.run);
        if config.accept_duplicates {
            push(Some(*key), true, snapshot.run);
        }
        if config.resubmit {
            push(Some(*key), false, next_run);
        }
    }
    if config.fresh_same
        && let Some(last) = world.attempts.last()
        && !complete(Kind::Checkpoint).any(|(_, snapshot)| snapshot.run == last.run)
        && !world.attempts.iter().any(|job| job.run != last.run && comes_from(world, job, last.run))
        && !world.attempts.iter().any(|job| job.run == last.run && job.restored.is_some())
    {
        push(None, false, last.run);
    }
    if config.fresh_new {
        push(None, false, next_run);
    }
}

fn comes_from(world: &World, job: &Attempt, run: u8) -> bool {
    job.restored.and_then(|key| world.snapshots.get(&key)).is_some_and(|snapshot| snapshot.run == run)
}

/// Calls that were made and arrive again, and some that nobody should make.
fn repeats(number: u8, job: &Attempt, world: &World, config: &Config, actions: &mut Vec<Action>) {
    let mut late = |late| actions.push(Action::Late(late));
    if job.incarnation.is_some() {
        late(Late::Attach(number));
    }
    for (subtask, writer) in (0u8..).zip(&job.subtasks) {
        if writer.epoch.is_some() {
            late(Late::OpenWriter(number, subtask));
        }
        for sent in &writer.sent {
            late(Late::Begin(sent.txn));
            repeats_of(sent, job.life, world, config, &mut late);
        }
    }
    for (group, minted) in world.minted.iter() {
        if group.attempt == number
            && minted.members.iter().all(|txn| txn.attempt == number)
            && world.outcome(*group).is_some()
        {
            late(Late::Commit(*group));
        }
    }
}

fn repeats_of(sent: &Sent, life: Life, world: &World, config: &Config, late: &mut impl FnMut(Late)) {
    let blocks = sent.records.len() as u64 * u64::from(config.streams);
    (0..blocks).for_each(|seq| late(Late::Append(sent.txn, seq)));
    late(Late::Gap(sent.txn));
    late(Late::Altered(sent.txn));
    if !sent.prepared && !sent.records.is_empty() {
        late(Late::Understated(sent.txn));
        late(Late::Misread(sent.txn));
    }
    if sent.prepared {
        late(Late::Prepare(sent.txn));
    }
    if sent.prepared || sent.ended {
        late(Late::Stray(sent.txn));
    }
    if life == Life::Dead && !sent.ended && world.spent.late < config.late {
        late(Late::Abort(sent.txn));
    }
}

fn plain(world: &World, config: &Config, actions: &mut Vec<Action>) {
    let plain = &world.plain;
    let mut push = |action| actions.push(Action::Plain(action));
    // Two processes are enough to fence one.
    if plain.epoch < 2 || world.spent.late < config.late {
        push(PlainAction::Init);
    }
    if plain.epoch == 0 {
        return;
    }
    for rows in 1..=2 {
        if plain.acknowledged + u32::from(rows) <= u32::from(config.plain) {
            push(PlainAction::Append { rows, lost: false });
            if world.spent.lost < config.lost {
                push(PlainAction::Append { rows, lost: true });
            }
        }
    }
    push(PlainAction::Gap);
    if plain.applied > 0 {
        push(PlainAction::Repeat);
    }
    if plain.epoch > 1 {
        push(PlainAction::Stale);
    }
}

fn publications(world: &World, config: &Config, actions: &mut Vec<Action>) {
    let mut push = |action| actions.push(Action::Publication(action));
    if world.publication.begun < config.publications {
        for place in world.seen.keys() {
            push(PublicationAction::Intend { place: *place, short: false });
            if config.plain > 0 && is_shared(*place) {
                push(PublicationAction::Intend { place: *place, short: true });
            }
        }
    }
    for publisher in &world.publication.publishers {
        push(PublicationAction::Publish(publisher.number));
    }
    for number in world.publication.live.values() {
        push(PublicationAction::GiveUp(*number));
    }
}

/// Only blocks of the plain producer hold several events, so only there a file can end inside an extent.
fn is_shared(place: Place) -> bool {
    place == PLAIN_PLACE
}
