//! A script of 200 operations and a restart, on a disk where one call goes wrong: each call in turn, in every way that fits it.
//!
//! `CRASH_FAULTS_EVERY=n` takes every n-th call, 1 all of them; `CRASH_FAULT=way:call` that one alone. A failure prints which, and keeps
//! the data directory as it was left.

use std::{io::ErrorKind, panic::AssertUnwindSafe, path::Path, sync::Mutex, time::Duration};

use futures::FutureExt as _;

use super::{
    kit::{Place, World, small},
    promises::{check, goes_on, keep},
    workload::Workload,
};
use crate::{
    env::{Call, Disk as _, Fault, MemDisk, OpenMode, Struck, Survivors, TracedDisk},
    log::{self, ReadError},
    store::{Error, OpenError, Options},
    tier::{self, Tier},
    verify::tests::world::verify_all,
};

const OPERATIONS: usize = 200;
/// Operations at the end that nothing goes wrong in: those before are proven durable by then.
const CALM_OPERATIONS: usize = 10;
/// Among so many operations some are answered durably.
const OPERATIONS_THAT_TELL: usize = 15;
const EVERY: usize = 41;
const SEED: u64 = 1;
const LOG: &str = "/data/log";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Eio,
    Full,
    FlippedRead,
    FlippedWrite,
    Cut,
}

impl Way {
    const ALL: [Way; 5] = [Way::Eio, Way::Full, Way::FlippedRead, Way::FlippedWrite, Way::Cut];

    /// Bits and lengths differ from call to call.
    fn fault(self, call: usize) -> Fault {
        let chosen = crc32c::crc32c(&call.to_le_bytes()).into();
        match self {
            Way::Eio => Fault::Error(ErrorKind::Other),
            Way::Full => Fault::Error(ErrorKind::StorageFull),
            Way::FlippedRead => Fault::FlippedRead(chosen),
            Way::FlippedWrite => Fault::FlippedWrite(chosen),
            Way::Cut => Fault::Cut(chosen % 256),
        }
    }

    fn damages(self) -> bool {
        matches!(self, Way::FlippedWrite | Way::Cut)
    }
}

/// No cache: reads are answered by the disk.
fn options() -> Options {
    Options { sync_bytes: 24 << 10, cache_bytes: 0, ..small() }
}

/// What came of a run.
struct Ran {
    disk: TracedDisk,
    workload: Workload,
    /// Why the store did not open in the middle.
    refused: Option<String>,
    answers: Answers,
    /// Calls when the operations began, and when the last ones did.
    calls: std::ops::Range<usize>,
    /// The log's last file was cut between the end of one process and the start of the next. Nothing behind it proves what it held, so that
    /// looks like a torn write: the one damage that a start repairs. It told so, and the run ended there.
    looks_torn: bool,
}

async fn run(way: Option<(Way, usize)>) -> Ran {
    let disk = TracedDisk::over(MemDisk::new());
    let mut world = Place::Traced(disk.clone()).found(options()).await;
    let mut workload = Workload::new(&world, SEED).await;
    let mut calls = disk.calls_made()..0;
    if let Some((way, call)) = way {
        disk.strike(call, way.fault(call));
    }
    let is_cut = way.is_some_and(|(way, _)| way == Way::Cut);
    let (mut refused, mut answers) = (None, Answers::default());
    for operation in 0..OPERATIONS {
        if operation == OPERATIONS / 2 {
            let fatal = world.fatal.clone();
            let place = world.close().await;
            answers.end(&disk, &workload, &fatal).await;
            let last = disk.disk().list(Path::new(LOG)).unwrap().pop().map(|file| Path::new(LOG).join(file.name));
            let opened = place.try_open(options()).or_else(|error| {
                refused = Some(with_sources(&error));
                // What was found then is gone now, if it was not on the disk.
                place.try_open(options())
            });
            match opened {
                Ok(opened) => world = opened,
                Err(_) => return Ran { disk, workload, refused, answers, calls, looks_torn: false },
            }
            let told = world.recovery.cut.is_some() || !world.recovery.damage.is_empty();
            if told && is_cut && disk.struck().is_some_and(|struck| Some(struck.path) == last) {
                world.close().await;
                return Ran { disk, workload, refused, answers, calls, looks_torn: true };
            }
            workload.ask_again(&world);
        }
        if operation == OPERATIONS - CALM_OPERATIONS {
            calls.end = disk.calls_made();
        }
        workload.step(&world).await;
        answers.note(&disk, &workload);
    }
    let fatal = world.fatal.clone();
    world.close().await;
    answers.end(&disk, &workload, &fatal).await;
    Ran { disk, workload, refused, answers, calls, looks_torn: false }
}

/// What the process did in which a call went wrong.
#[derive(Default)]
struct Answers {
    /// Durable answers up to the end of that operation.
    then: Option<usize>,
    /// Operations from that one on.
    operations: usize,
    /// Durable answers in later operations; `None`: there were too few to tell.
    after: Option<usize>,
    ended: bool,
    /// What it said when it gave up.
    fatal: Option<String>,
}

impl Answers {
    fn note(&mut self, disk: &TracedDisk, workload: &Workload) {
        if disk.struck().is_some() {
            self.operations += 1;
            self.then.get_or_insert(workload.answers);
        }
    }

    /// The process ended.
    async fn end(&mut self, disk: &TracedDisk, workload: &Workload, fatal: &Mutex<Option<String>>) {
        if disk.struck().is_none() || self.ended {
            return;
        }
        // The callers are told first, the process right after.
        for _ in 0..50 {
            if fatal.lock().unwrap().is_some() {
                break;
            }
            let stopped = workload.errors.iter().any(|error| matches!(error, Error::Stopped(_)));
            tokio::time::sleep(Duration::from_millis(if stopped { 2 } else { 0 })).await;
        }
        self.fatal = fatal.lock().unwrap().clone();
        self.ended = true;
        self.after = self.then.filter(|_| self.operations > OPERATIONS_THAT_TELL).map(|then| workload.answers - then);
    }
}

/// All that an error says; of damage, which it tells by its last place, every place.
fn with_sources(error: &OpenError) -> String {
    if let OpenError::Log(log::OpenError::Damaged(places)) = error {
        return places.iter().map(|damage| format!("{damage}; ")).collect();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Whether a text names a file; a snapshot is written under another name first.
fn names(text: &str, file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    text.contains(name.strip_suffix(".tmp").unwrap_or(name))
}

impl Ran {
    /// Checks what callers were told while a call went wrong, and what is found afterwards.
    async fn judge(mut self, way: Way, struck: &Struck, call: &Call) {
        for error in &self.workload.read_errors {
            assert!(names(&error.to_string(), &struck.path), "a read failed elsewhere: {error}");
            // A file that is cut in the middle of a read ends early.
            let told = matches!(error, ReadError::Damaged(_)) || matches!(way, Way::Eio | Way::Cut);
            assert!(told, "damage is not told as such: {error}");
        }
        if let Some(refused) = &self.refused {
            let by_the_next = refused.contains("the file begins with frame") && way == Way::Cut;
            assert!(
                names(refused, &struck.path) || by_the_next,
                "the store did not open because of something else: {refused}"
            );
        }
        self.judge_errors(way, struck, call);
        if self.looks_torn {
            return;
        }
        match way.damages() {
            true => self.judge_damage(struck).await,
            false => self.judge_restart().await,
        }
    }

    fn judge_errors(&self, way: Way, struck: &Struck, call: &Call) {
        let in_log = struck.path.starts_with(LOG) && self.refused.is_none();
        let makes = matches!(call, Call::Open { mode: OpenMode::CreateNew, .. });
        let writes = makes || matches!(call, Call::Write { .. });
        if in_log && way == Way::Full {
            let refused = |error: &&Error| matches!(error, Error::Full(_));
            let told = self.workload.errors.iter().find(refused).map(Error::to_string).unwrap_or_default();
            let is_clear = told.starts_with("the disk is full") && told.contains("free some space");
            assert!(is_clear || self.workload.errors.is_empty(), "{:?}", self.workload.errors);
            assert!(
                self.answers.after.is_none_or(|after| after > 0),
                "it does not go on after the disk was full: {:?}",
                self.workload.errors
            );
        }
        let syncs = matches!(call, Call::SyncData { .. } | Call::SyncDir { .. } | Call::Truncate { .. });
        if in_log && way == Way::Eio && (writes || syncs) {
            assert!(self.answers.fatal.is_some(), "the process was not told: {:?}", self.workload.errors);
            assert_eq!(self.answers.after.unwrap_or(0), 0, "it answers after {call:?} failed");
        }
        if !in_log || way != Way::Eio {
            assert_eq!(self.answers.fatal, None, "it stopped though it could go on");
        }
        for error in &self.workload.errors {
            assert!(!matches!(error, Error::Refused(_) | Error::HeldBack(_)), "{error}");
        }
    }

    /// The disk is as it was left: all that was promised is there after a loss of power; after the end of the process alone; and what is found
    /// then is still there when power is lost right after that start, whatever a sync that failed had lost.
    async fn judge_restart(self) {
        let disk = self.disk.disk();
        for case in [Survivors::None, Survivors::All, Survivors::Some(7)] {
            let found = self.checked(case.of(disk).disk).await;
            goes_on(found, &options()).await;
        }
        let restarted = self.checked(disk.clone()).await;
        let lost = self.checked(Survivors::None.of(disk).disk).await;
        assert!(lost.content() == restarted.content(), "a start showed what was not durable");
        lost.close().await;
        goes_on(restarted, &options()).await;
    }

    async fn checked(&self, disk: MemDisk) -> World {
        let world = Place::Memory(disk).open(options());
        assert_eq!(world.recovery.damage, []);
        check(&world, &self.workload.told, &self.workload.sent, None).await;
        world
    }

    /// The disk is damaged: it is told, or harms nothing that is needed.
    async fn judge_damage(&mut self, struck: &Struck) {
        let before = self.disk.disk().digest();
        let world: World = match Place::Memory(self.disk.disk().clone()).try_open(options()) {
            Ok(world) => world,
            Err(error) => {
                let text = with_sources(&error);
                // Cut where a frame ends, a file looks whole: the next one tells.
                let by_the_next = text.contains("the file begins with frame") && struck.to == u64::MAX;
                assert!(names(&text, &struck.path) || by_the_next, "another file is named: {text}");
                assert_eq!(self.disk.disk().digest(), before, "a refused start changed something");
                return;
            }
        };
        for damage in &world.recovery.damage {
            assert_eq!(damage.file, struck.path, "{damage}");
        }
        let unreadable = check(&world, &self.workload.told, &self.workload.sent, Some(&struck.path)).await;
        let (tier, _) = Tier::new(world.store.clone(), tier::Options::default());
        let found = verify_all(&world.store, &tier).damage.into_iter().any(|damage| damage.file == struck.path);
        assert!(found || unreadable == 0, "verify does not see what cannot be read");
        world.close().await;
    }
}

/// The faults to make: all that fit, or every so many of them.
fn faults(calls: &[Call], range: std::ops::Range<usize>) -> Vec<(Way, usize)> {
    let mut fitting = Vec::new();
    for way in Way::ALL {
        fitting.extend(range.clone().filter(|call| way.fault(*call).fits(&calls[*call])).map(|call| (way, call)));
    }
    if let Ok(only) = std::env::var("CRASH_FAULT") {
        fitting.retain(|(way, call)| format!("{way:?}:{call}") == only);
        return fitting;
    }
    let every = std::env::var("CRASH_FAULTS_EVERY").map_or(EVERY, |every| every.parse().expect("a number"));
    fitting.into_iter().step_by(every).collect()
}

/// Whichever call goes wrong, and however: nothing that was promised is lost, nothing wrong is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_call_goes_wrong() {
    let calm = run(None).await;
    assert!(calm.workload.errors.is_empty() && calm.workload.read_errors.is_empty(), "{:?}", calm.workload.errors);
    let (calls, range) = (calm.disk.calls(), calm.calls);
    assert!(range.len() > 300, "{range:?}");
    let (mut made, mut missed, mut refused, mut torn) = ([0; 5], 0, 0, 0);
    let faults = faults(&calls, range);
    for (way, call) in &faults {
        let ran = run(Some((*way, *call))).await;
        let Some(struck) = ran.disk.struck() else {
            // Moments of rest come at other calls, and there were fewer.
            missed += 1;
            continue;
        };
        let was = ran.disk.calls().swap_remove(struck.call);
        made[*way as usize] += 1;
        refused += usize::from(ran.refused.is_some());
        torn += usize::from(ran.looks_torn);
        let left = ran.disk.disk().clone();
        if let Err(panic) = AssertUnwindSafe(ran.judge(*way, &struck, &was)).catch_unwind().await {
            let was: String = format!("{was:?}").chars().take(200).collect();
            eprintln!("{way:?} from call {call} on: {was}, {struck:?}");

            eprintln!("the data directory: {}", keep(&left, &format!("{way:?}-{call}")).display());
            eprintln!("again: CRASH_FAULT={way:?}:{call} cargo test -p sluice-segment whichever_call");
            std::panic::resume_unwind(panic);
        }
    }
    println!("{} calls, faults {made:?} of {:?}, {refused} starts refused", calls.len(), Way::ALL);
    println!("{torn} cuts that look like torn writes, {missed} faults that found no call");
    assert!(missed * 10 <= faults.len(), "vacuous: {missed} of {} faults found no call", faults.len());
}
