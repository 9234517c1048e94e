//! For each anomaly the smallest histories that have it, each beside a sound one that is as near to it as can be.

use super::story::{S, Story, T, W, X, Y, story, v};
use crate::history::{AnomalyKind, Outcome, Range, Time, Value};

/// A transaction of one event that a reader sees.
fn seen_transaction(outcome: impl FnOnce(&mut Story) -> Outcome) -> Story {
    story(|story| {
        let outcome = outcome(story);
        story.transaction(X, &[(S, &[1])], outcome);
        story.read(1, S, 0, &[v(X, 1)]);
    })
}

#[test]
fn aborted_read() {
    seen_transaction(|story| story.committed(None)).is_sound();
    seen_transaction(|story| Outcome::Unknown { asked: story.now() }).is_sound();
    for unseen in [Outcome::Aborted, Outcome::Open, Outcome::Prepared] {
        seen_transaction(|_| unseen).has_exactly(AnomalyKind::AbortedRead);
        story(|story| story.transaction(X, &[(S, &[1])], unseen)).is_sound();
    }
}

#[test]
fn aborted_read_before_the_commit_was_asked_for() {
    seen_transaction(|_| Outcome::Unknown { asked: Time(100) }).has_exactly(AnomalyKind::AbortedRead);
}

/// An append without an answer of which the writer's next opening counted so many, and what a reader sees.
fn reopened(counted: u64, seen: &[u32]) -> Story {
    story(|story| {
        let asked = story.now();
        story.append(W, S, &[1, 2, 3], Outcome::Unknown { asked });
        story.opening(counted);
        let values: Vec<Value> = seen.iter().map(|n| v(W, *n)).collect();
        story.read(1, S, 0, &values);
    })
}

#[test]
fn an_opening_says_what_of_an_append_is_there() {
    reopened(0, &[]).is_sound();
    reopened(2, &[1, 2]).is_sound();
    reopened(3, &[1, 2, 3]).is_sound();
    reopened(1, &[1, 2]).has_exactly(AnomalyKind::AbortedRead);
    reopened(2, &[1]).has_exactly(AnomalyKind::LostWrite);
}

#[test]
fn lost_write() {
    let read = |values: &[Value]| {
        story(|story| {
            story.acknowledged(&[1, 2]);
            story.read(1, S, 0, values);
        })
    };
    read(&[v(W, 1), v(W, 2)]).is_sound();
    read(&[v(W, 1)]).has_exactly(AnomalyKind::LostWrite);
    read(&[v(W, 2)]).has_exactly(AnomalyKind::LostWrite);
}

#[test]
fn lost_write_of_an_append_without_an_answer() {
    let read = |values: &[Value]| {
        story(|story| {
            let asked = story.now();
            story.append(W, S, &[1, 2, 3], Outcome::Unknown { asked });
            story.read(1, S, 0, values);
        })
    };
    read(&[]).is_sound();
    read(&[v(W, 1), v(W, 2)]).is_sound();
    read(&[v(W, 1), v(W, 3)]).has_exactly(AnomalyKind::LostWrite);
}

#[test]
fn lost_transaction() {
    story(|story| {
        let asked = story.now();
        story.transaction(X, &[(S, &[1]), (T, &[1])], Outcome::Unknown { asked });
    })
    .is_sound();
    story(|story| {
        let outcome = story.committed(None);
        story.transaction(X, &[(S, &[1]), (T, &[1])], outcome);
    })
    .has_exactly(AnomalyKind::LostWrite);
}

#[test]
fn duplicate() {
    let read = |values: &[Value]| {
        story(|story| {
            story.acknowledged(&[1, 2]);
            story.read(1, S, 0, values);
        })
    };
    read(&[v(W, 1), v(W, 2)]).is_sound();
    read(&[v(W, 1), v(W, 2), v(W, 1)]).has_exactly(AnomalyKind::Duplicate);
}

#[test]
fn duplicate_in_another_segment() {
    story(|story| {
        story.acknowledged(&[1]);
        story.read_segment(1, S, 0, 0, &[v(W, 1)]);
        story.read_segment(1, S, 1, 0, &[v(W, 1)]);
    })
    .has_exactly(AnomalyKind::Duplicate);
}

#[test]
fn inconsistent_offsets() {
    let second_reader = |values: &[Value]| {
        story(|story| {
            story.acknowledged(&[1, 2]);
            story.read(1, S, 0, &[v(W, 1), v(W, 2)]);
            story.read(2, S, 0, values);
        })
    };
    second_reader(&[v(W, 1), v(W, 2)]).is_sound();
    second_reader(&[v(W, 1), v(W, 1)]).has_exactly(AnomalyKind::InconsistentOffsets);
}

/// Two acknowledged transactions of commits 4 and 5 and what Parquet says of them.
fn published(commits: [u64; 2]) -> Story {
    story(|story| {
        for (n, commit_seq) in [(1, 4), (2, 5)] {
            let outcome = story.committed(Some(commit_seq));
            story.transaction(X, &[(S, &[n])], outcome);
        }
        story.read(1, S, 0, &[v(X, 1), v(X, 2)]);
        story.file(S, 0, &[(v(X, 1), commits[0]), (v(X, 2), commits[1])]).complete = true;
    })
}

#[test]
fn inconsistent_commit_of_an_answer() {
    published([4, 5]).is_sound();
    published([4, 6]).has_exactly(AnomalyKind::InconsistentCommit);
}

#[test]
fn inconsistent_commit_along_the_offsets() {
    let rows = |first: u64, second: u64| {
        story(|story| {
            story.acknowledged(&[1, 2]);
            story.read(1, S, 0, &[v(W, 1), v(W, 2)]);
            story.file(S, 0, &[(v(W, 1), first), (v(W, 2), second)]);
        })
    };
    rows(4, 4).is_sound();
    rows(4, 5).is_sound();
    rows(5, 4).has_exactly(AnomalyKind::InconsistentCommit);
}

#[test]
fn inconsistent_commit_of_two_transactions() {
    let rows = |first: u64, second: u64| {
        story(|story| {
            let asked = story.now();
            story.transaction(X, &[(S, &[1])], Outcome::Unknown { asked });
            story.transaction(Y, &[(S, &[1])], Outcome::Unknown { asked });
            story.read(1, S, 0, &[v(X, 1), v(Y, 1)]);
            story.file(S, 0, &[(v(X, 1), first), (v(Y, 1), second)]);
        })
    };
    rows(4, 5).is_sound();
    rows(4, 4).has_exactly(AnomalyKind::InconsistentCommit);
}

#[test]
fn inconsistent_commit_of_a_batch() {
    let batch = |commit_seq: u64| {
        story(|story| {
            story.acknowledged(&[1]);
            story.read(1, S, 0, &[v(W, 1)]).commit_seq = commit_seq;
            story.file(S, 0, &[(v(W, 1), 5)]);
        })
    };
    batch(5).is_sound();
    batch(6).is_sound();
    batch(4).has_exactly(AnomalyKind::InconsistentCommit);
}

#[test]
fn inconsistent_commit_of_a_file_that_was_written_again() {
    let again = |commit_seq: u64| {
        story(|story| {
            story.acknowledged(&[1]);
            story.read(1, S, 0, &[v(W, 1)]);
            story.file(S, 0, &[(v(W, 1), 5)]);
            story.file(S, 0, &[(v(W, 1), commit_seq)]).files.pop();
        })
    };
    again(5).is_sound();
    again(6).has_exactly(AnomalyKind::InconsistentCommit);
}

#[test]
fn inconsistent_commit_for_one_reader() {
    let batches = |first: u64, second: u64| {
        story(|story| {
            story.acknowledged(&[1, 2]);
            story.read(1, S, 0, &[v(W, 1)]).commit_seq = first;
            story.read(1, S, 1, &[v(W, 2)]).commit_seq = second;
        })
    };
    batches(5, 5).is_sound();
    batches(5, 4).has_exactly(AnomalyKind::InconsistentCommit);
}

#[test]
fn nonmonotonic_poll() {
    let second_batch = |base: u64, values: &[Value]| {
        story(|story| {
            story.acknowledged(&[1, 2, 3]);
            story.read(1, S, 0, &[v(W, 1), v(W, 2)]);
            story.read(1, S, base, values).before = 2;
        })
    };
    second_batch(2, &[v(W, 3)]).is_sound();
    second_batch(1, &[v(W, 2), v(W, 3)]).has_exactly(AnomalyKind::NonmonotonicPoll);
}

#[test]
fn nonmonotonic_send() {
    let read = |values: &[Value]| {
        story(|story| {
            story.acknowledged(&[1]);
            let outcome = story.committed(None);
            story.transaction(X, &[(S, &[1])], outcome);
            story.read(1, S, 0, values);
        })
    };
    read(&[v(W, 1), v(X, 1)]).is_sound();
    read(&[v(X, 1), v(W, 1)]).has_exactly(AnomalyKind::NonmonotonicSend);
}

#[test]
fn writes_at_the_same_time_have_any_order() {
    for values in [[v(W, 1), v(X, 1)], [v(X, 1), v(W, 1)]] {
        story(|story| {
            let (first, second) = (story.now(), story.now());
            let committed =
                |asked, story: &mut Story| Outcome::Committed { asked, answered: story.now(), commit_seq: None };
            let outcome = committed(first, story);
            story.append(W, S, &[1], outcome);
            let outcome = committed(second, story);
            story.transaction(X, &[(S, &[1])], outcome);
            story.read(1, S, 0, &values);
        })
        .is_sound();
    }
}

#[test]
fn reordered_key() {
    let read = |values: &[Value]| {
        story(|story| {
            story.acknowledged(&[1, 2]);
            story.read(1, S, 0, values);
        })
    };
    read(&[v(W, 1), v(W, 2)]).is_sound();
    read(&[v(W, 2), v(W, 1)]).has_exactly(AnomalyKind::ReorderedKey);
}

#[test]
fn reordered_key_over_two_segments() {
    story(|story| {
        story.acknowledged(&[1, 2]);
        story.read_segment(1, S, 0, 0, &[v(W, 1)]);
        story.read_segment(1, S, 1, 0, &[v(W, 2)]);
    })
    .has_exactly(AnomalyKind::ReorderedKey);
}

#[test]
fn torn_group() {
    for acknowledged in [true, false] {
        let read = |left: &[Value], right: &[Value]| {
            story(|story| {
                let outcome = match acknowledged {
                    true => story.committed(None),
                    false => Outcome::Unknown { asked: story.now() },
                };
                story.transaction(X, &[(S, &[1, 2]), (T, &[1])], outcome);
                story.read(1, S, 0, left);
                story.read(1, T, 0, right);
            })
        };
        read(&[v(X, 1), v(X, 2)], &[v(X, 1)]).is_sound();
        read(&[v(X, 1), v(X, 2)], &[]).has_exactly(AnomalyKind::TornGroup);
        read(&[v(X, 1)], &[v(X, 1)]).has_exactly(AnomalyKind::TornGroup);
        read(&[], &[v(X, 1)]).has_exactly(AnomalyKind::TornGroup);
    }
}

#[test]
fn torn_group_at_two_commits() {
    let commits = |left: u64, right: u64| {
        story(|story| {
            let outcome = story.committed(Some(5));
            story.transaction(X, &[(S, &[1]), (T, &[1])], outcome);
            for (stream, commit_seq) in [(S, left), (T, right)] {
                story.read(1, stream, 0, &[v(X, 1)]);
                story.file(stream, 0, &[(v(X, 1), commit_seq)]);
            }
        })
    };
    commits(5, 5).is_sound();
    commits(5, 6).has_exactly(AnomalyKind::TornGroup);
}

#[test]
fn torn_group_at_a_snapshot() {
    let snapshot = |commit_seq: u64, end: u64| {
        story(|story| {
            // Before the transaction is answered: only the commit says what belongs to it.
            story.end(S, end, Some(commit_seq));
            let outcome = story.committed(Some(5));
            story.transaction(X, &[(S, &[1, 2])], outcome);
            story.read(1, S, 0, &[v(X, 1), v(X, 2)]);
            story.file(S, 0, &[(v(X, 1), 5), (v(X, 2), 5)]);
        })
    };
    snapshot(4, 0).is_sound();
    snapshot(5, 2).is_sound();
    snapshot(5, 1).has_exactly(AnomalyKind::TornGroup);
    snapshot(5, 0).has_exactly(AnomalyKind::TornGroup);
    snapshot(4, 1).has_exactly(AnomalyKind::TornGroup);
}

#[test]
fn ghost_write() {
    let read = |values: &[Value]| {
        story(|story| {
            story.acknowledged(&[1]);
            story.read(1, S, 0, values);
        })
    };
    read(&[v(W, 1)]).is_sound();
    read(&[v(W, 1), v(W, 2)]).has_exactly(AnomalyKind::GhostWrite);
    read(&[v(W, 1), Value::foreign(b"?")]).has_exactly(AnomalyKind::GhostWrite);
}

#[test]
fn a_value_of_another_stream_is_a_ghost() {
    story(|story| {
        story.acknowledged(&[1]);
        story.read(1, S, 0, &[v(W, 1)]);
        story.read(1, T, 0, &[v(W, 1)]);
    })
    .has_exactly(AnomalyKind::GhostWrite);
}

#[test]
fn position_regression() {
    let after = |after: u64| {
        story(|story| {
            story.acknowledged(&[1, 2]);
            story.read(1, S, 0, &[v(W, 1), v(W, 2)]).after = after;
        })
    };
    after(2).is_sound();
    after(1).has_exactly(AnomalyKind::PositionRegression);
}

#[test]
fn position_regression_between_batches() {
    let before = |before: u64| {
        story(|story| {
            story.acknowledged(&[1, 2]);
            story.read(1, S, 0, &[v(W, 1)]);
            story.read(1, S, 1, &[v(W, 2)]).before = before;
        })
    };
    before(1).is_sound();
    before(0).has_exactly(AnomalyKind::PositionRegression);
}

#[test]
fn stale_read_of_what_was_acknowledged() {
    let end = |end: u64| {
        story(|story| {
            story.acknowledged(&[1]);
            story.end(S, end, None);
            story.read(1, S, 0, &[v(W, 1)]);
        })
    };
    end(1).is_sound();
    end(0).has_exactly(AnomalyKind::StaleRead);
}

#[test]
fn stale_read_of_what_was_seen() {
    let end = |end: u64| {
        story(|story| {
            let asked = story.now();
            story.append(W, S, &[1], Outcome::Unknown { asked });
            story.read(1, S, 0, &[v(W, 1)]);
            story.end(S, end, None);
        })
    };
    end(1).is_sound();
    end(0).has_exactly(AnomalyKind::StaleRead);
}

#[test]
fn stale_read_of_the_other_stream_of_a_transaction() {
    let end = |end: u64| {
        story(|story| {
            let asked = story.now();
            story.transaction(X, &[(S, &[1]), (T, &[1])], Outcome::Unknown { asked });
            story.read(1, S, 0, &[v(X, 1)]);
            story.end(T, end, None);
            story.read(1, T, 0, &[v(X, 1)]);
        })
    };
    end(1).is_sound();
    end(0).has_exactly(AnomalyKind::StaleRead);
}

#[test]
fn an_end_that_was_asked_for_earlier_may_lie_before() {
    story(|story| {
        story.end(S, 0, None);
        story.acknowledged(&[1]);
        story.read(1, S, 0, &[v(W, 1)]);
    })
    .is_sound();
}

/// Two acknowledged events and the rows of a file that holds everything.
fn file(base: u64, rows: &[(Value, u64)]) -> Story {
    story(|story| {
        story.acknowledged(&[1, 2]);
        story.read(1, S, 0, &[v(W, 1), v(W, 2)]);
        story.file(S, base, rows).complete = true;
    })
}

#[test]
fn parquet_that_differs_from_the_tail() {
    file(0, &[(v(W, 1), 4), (v(W, 2), 4)]).is_sound();
    file(0, &[(v(W, 1), 4), (v(W, 1), 4)]).has_exactly(AnomalyKind::ParquetTailDivergence);
    file(0, &[(v(W, 1), 4), (v(W, 2), 4), (v(W, 3), 4)]).has_exactly(AnomalyKind::ParquetTailDivergence);
}

#[test]
fn parquet_that_leaves_something_out() {
    file(1, &[(v(W, 2), 4)]).has_exactly(AnomalyKind::ParquetTailDivergence);
    file(0, &[(v(W, 1), 4)]).has_exactly(AnomalyKind::ParquetTailDivergence);
    let mut unfinished = file(0, &[(v(W, 1), 4)]);
    unfinished.history.looks[0].complete = false;
    unfinished.is_sound();
}

/// Two looks, each at a file more.
fn two_looks() -> Story {
    story(|story| {
        story.acknowledged(&[1, 2]);
        story.read(1, S, 0, &[v(W, 1), v(W, 2)]);
        story.file(S, 0, &[(v(W, 1), 4)]);
        story.file(S, 1, &[(v(W, 2), 4)]).complete = true;
    })
}

#[test]
fn parquet_that_shows_something_twice() {
    two_looks().is_sound();
    let mut twice = two_looks();
    let first = Range { segment: 0, base_offset: 0, end: 1 };
    twice.history.looks[1].files.push(first);
    twice.has_exactly(AnomalyKind::ParquetTailDivergence);
}

#[test]
fn parquet_that_takes_something_back() {
    let mut story = two_looks();
    let mut again = story.history.looks[0].clone();
    again.files.clear();
    again.rows.clear();
    story.history.looks.push(again);
    story.has_exactly(AnomalyKind::ParquetTailDivergence);
}

#[test]
fn parquet_that_is_exchanged() {
    let mut story = two_looks();
    let changed = &mut story.history.looks[1].files;
    changed.clear();
    changed.push(Range { segment: 0, base_offset: 0, end: 2 });
    story.has_exactly(AnomalyKind::ParquetTailDivergence);
}

#[test]
fn gap_in_offsets() {
    let read = |base: u64| {
        story(|story| {
            story.acknowledged(&[1]);
            story.read(1, S, base, &[v(W, 1)]);
        })
    };
    read(0).is_sound();
    read(1).has_exactly(AnomalyKind::GapInOffsets);
}

#[test]
fn gap_in_offsets_before_one_that_cannot_be() {
    story(|story| {
        story.acknowledged(&[1]);
        story.read(1, S, 0, &[v(W, 1)]);
        story.read(2, S, 1 << 40, &[v(W, 1)]);
    })
    .has_exactly(AnomalyKind::GapInOffsets);
}

#[test]
fn gap_in_what_one_reader_was_given() {
    let second_batch = |base: u64, values: &[Value]| {
        story(|story| {
            story.acknowledged(&[1, 2, 3]);
            story.read(1, S, 0, &[v(W, 1), v(W, 2), v(W, 3)]);
            story.read(2, S, 0, &[v(W, 1)]);
            story.read(2, S, base, values);
        })
    };
    second_batch(1, &[v(W, 2)]).is_sound();
    second_batch(2, &[v(W, 3)]).has_exactly(AnomalyKind::GapInOffsets);
}

#[test]
fn write_cycle() {
    let order = |left: &[Value], right: &[Value]| {
        story(|story| {
            let asked = story.now();
            for sink in [X, Y] {
                story.transaction(sink, &[(S, &[1]), (T, &[1])], Outcome::Unknown { asked });
            }
            story.read(1, S, 0, left);
            story.read(1, T, 0, right);
        })
    };
    let (x, y) = (v(X, 1), v(Y, 1));
    order(&[x, y], &[x, y]).is_sound();
    order(&[y, x], &[y, x]).is_sound();
    order(&[x, y], &[y, x]).has_exactly(AnomalyKind::WriteCycle);
}

#[test]
fn write_cycle_within_a_segment() {
    let order = |values: &[Value]| {
        story(|story| {
            let asked = story.now();
            for sink in [X, Y] {
                story.transaction(sink, &[(S, &[1, 2])], Outcome::Unknown { asked });
            }
            story.read(1, S, 0, values);
        })
    };
    order(&[v(X, 1), v(X, 2), v(Y, 1), v(Y, 2)]).is_sound();
    order(&[v(X, 1), v(Y, 1), v(X, 2), v(Y, 2)]).has_exactly(AnomalyKind::WriteCycle);
}

#[test]
fn an_unknown_outcome_stays_what_it_was() {
    let second_read = |values: &[Value]| {
        story(|story| {
            let asked = story.now();
            story.transaction(X, &[(S, &[1])], Outcome::Unknown { asked });
            story.acknowledged(&[1]);
            story.read(1, S, 0, &[v(X, 1), v(W, 1)]);
            story.read(2, S, 0, values);
        })
    };
    second_read(&[v(X, 1), v(W, 1)]).is_sound();
    second_read(&[v(W, 1)]).has_exactly(AnomalyKind::InconsistentOffsets);
}

#[test]
#[should_panic(expected = "sent twice")]
fn a_history_that_sends_a_value_twice_is_refused() {
    story(|story| {
        story.acknowledged(&[1]);
        story.acknowledged(&[1]);
    })
    .is_sound();
}
