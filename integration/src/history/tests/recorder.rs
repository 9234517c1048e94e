//! Many tasks record into one history.

use std::collections::BTreeSet;

use crate::history::{Event, Key, Opening, Outcome, Part, Recorder, Value, Write, WriteKind};

#[test]
fn what_many_threads_record_is_all_there_in_its_order() {
    let recorder = Recorder::default();
    let stream = recorder.stream("s");
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let recorder = recorder.clone();
            scope.spawn(move || {
                let writer = recorder.writer(name);
                for n in 0..100 {
                    let asked = recorder.now();
                    let event = Event { key: Key(0), value: Value { writer, n } };
                    let id = recorder.write(Write {
                        writer,
                        kind: WriteKind::Append { first_sequence: u64::from(n) + 1 },
                        parts: vec![Part { stream, events: vec![event] }],
                        outcome: Outcome::Unknown { asked },
                    });
                    if n % 2 == 0 {
                        let answered = recorder.now();
                        recorder.outcome(id, Outcome::Committed { asked, answered, commit_seq: None });
                    }
                    let at = recorder.now();
                    recorder.opening(Opening { writer, stream, last_sequence: u64::from(n), at });
                }
            });
        }
    });
    let history = recorder.take();
    assert_eq!((history.streams.len(), history.writers.len()), (1, 4));
    let moments: BTreeSet<_> = history.openings.iter().map(|opening| opening.at).collect();
    assert_eq!(moments.len(), 400, "no moment is noted twice");
    for writer in &history.writers {
        let own = history.writes.iter().filter(|write| history.writers[usize::from(write.writer.0)] == *writer);
        let own: Vec<_> = own.map(|write| (write.parts[0].events[0].value.n, write.outcome)).collect();
        assert!(own.iter().map(|(n, _)| *n).eq(0..100), "a writer's writes are in its order");
        assert!(own.iter().all(|(n, outcome)| outcome.answered().is_some() == (n % 2 == 0)));
    }
    assert_eq!(recorder.take().writes, [], "everything was taken");
}
