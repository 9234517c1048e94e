//! The figures as a table and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::{BenchArgs, Measured, process::Usage};
use crate::cli::output::{Table, size};

/// The table.
pub fn text(args: &BenchArgs, measured: &Measured) -> String {
    let Measured { write, read, disk, client, gateway } = measured;
    let mut table = Table::new(&["", "EVENTS/S>", "MB/S>", "SECONDS>"]);
    let mut row = |name: &str, events: Option<u64>, bytes: u64, took: Duration| {
        let events = events.map_or_else(|| "-".into(), |events| thousands(rate(events, took)));
        table.row([
            name.to_string(),
            events,
            format!("{:.1}", megabytes(bytes, took)),
            format!("{:.2}", took.as_secs_f64()),
        ]);
    };
    row("transactional write", Some(write.events), write.bytes, write.took);
    if let Some(read) = read {
        row("read back", Some(read.events), read.bytes, read.took);
    }
    if let Some(disk) = disk {
        row("disk, fdatasync each 8 MiB", None, disk.bytes, disk.took);
    }
    let mut text = format!(
        "{} events of {} bytes, {} segments, {} producers, commit every {}\n\n{}\n",
        args.events,
        args.event_bytes,
        args.segments,
        args.producers,
        args.commit_interval,
        table.render()
    );
    text.push_str(&format!("commits  {}\n", write.commits));
    for (name, times) in [("prepare ", &write.prepare_times), ("commit  ", &write.commit_times)] {
        let [median, p99, longest] = [50, 99, 100].map(|percent| millis(percentile(times, percent)));
        text.push_str(&format!("{name} {median:.1} ms (median), {p99:.1} ms (99 %), {longest:.1} ms (longest)\n"));
    }
    if let Some(disk) = disk {
        let share = megabytes(write.bytes, write.took) / megabytes(disk.bytes, disk.took) * 100.0;
        text.push_str(&format!("disk     writing reached {share:.0} % of the disk\n"));
    }
    match gateway {
        Some(gateway) => text.push_str(&format!(
            "gateway  {} resident, {} at most (process {})\n",
            size(gateway.resident_bytes),
            size(gateway.peak_bytes),
            gateway.pid
        )),
        None => text.push_str("gateway  not on this machine: its memory is not known\n"),
    }
    if let (Some(client), Some(gateway)) = (client, gateway) {
        text.push_str(&cpu(client, gateway));
    }
    text
}

/// The same for programs.
pub fn json(args: &BenchArgs, measured: &Measured) -> Value {
    let Measured { write, read, disk, client, gateway } = measured;
    json!({
        "events": args.events,
        "event_bytes": args.event_bytes,
        "segments": args.segments,
        "producers": args.producers,
        "commit_interval_ms": args.commit_interval.as_millis(),
        "write": {
            "events_per_second": rate(write.events, write.took),
            "bytes_per_second": rate(write.bytes, write.took),
            "seconds": write.took.as_secs_f64(),
            "commits": write.commits,
            "prepare_ms_median": millis(percentile(&write.prepare_times, 50)),
            "prepare_ms_p99": millis(percentile(&write.prepare_times, 99)),
            "prepare_ms_max": millis(percentile(&write.prepare_times, 100)),
            "commit_ms_median": millis(percentile(&write.commit_times, 50)),
            "commit_ms_p99": millis(percentile(&write.commit_times, 99)),
            "commit_ms_max": millis(percentile(&write.commit_times, 100)),
        },
        "read": read.as_ref().map(|read| json!({
            "events_per_second": rate(read.events, read.took),
            "bytes_per_second": rate(read.bytes, read.took),
            "seconds": read.took.as_secs_f64(),
        })),
        "disk": disk.as_ref().map(|disk| json!({
            "bytes_per_second": rate(disk.bytes, disk.took),
            "seconds": disk.took.as_secs_f64(),
        })),
        "client": client.map(Usage::json),
        "gateway": gateway.map(Usage::json),
    })
}

/// CPU time of writing.
pub fn cpu(client: &Usage, gateway: &Usage) -> String {
    format!("CPU      {:.1} s in this process, {:.1} s in the gateway\n", client.cpu_seconds, gateway.cpu_seconds)
}

fn rate(count: u64, took: Duration) -> u64 {
    (count as f64 / took.as_secs_f64().max(1e-9)) as u64
}

/// Millions of bytes a second.
fn megabytes(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64().max(1e-9)
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Of ascending times; 100 is the longest.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let last = times.len().saturating_sub(1);
    times.get(last * percent / 100).copied().unwrap_or_default()
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::{disk::Disk, reading::Read, writing::Written};

    #[test]
    fn the_table_of_a_run() {
        let args = BenchArgs {
            other: None,
            events: 3_000_000,
            event_bytes: 100,
            segments: 2,
            producers: 1,
            commit_interval: "1s".parse().unwrap(),
            transaction_events: None,
            disk_dir: None,
            write_only: false,
            keep: false,
            empty_streams: None,
        };
        let second = Duration::from_secs(1);
        let measured = Measured {
            write: Written {
                events: 3_000_000,
                bytes: 300_000_000,
                took: 2 * second,
                commits: 2,
                prepare_times: vec![second / 20, second / 10],
                commit_times: vec![second / 100, second / 50],
            },
            read: Some(Read { events: 3_000_000, bytes: 300_000_000, took: second }),
            disk: Some(Disk { bytes: 200_000_000, took: second }),
            client: Some(Usage { pid: 6, resident_bytes: 1 << 20, peak_bytes: 1 << 20, cpu_seconds: 1.25 }),
            gateway: Some(Usage { pid: 7, resident_bytes: 64 << 20, peak_bytes: 128 << 20, cpu_seconds: 2.0 }),
        };
        let expected = "\
3000000 events of 100 bytes, 2 segments, 1 producers, commit every 1s

                             EVENTS/S   MB/S  SECONDS
transactional write         1,500,000  150.0     2.00
read back                   3,000,000  300.0     1.00
disk, fdatasync each 8 MiB          -  200.0     1.00

commits  2
prepare  50.0 ms (median), 50.0 ms (99 %), 100.0 ms (longest)
commit   10.0 ms (median), 10.0 ms (99 %), 20.0 ms (longest)
disk     writing reached 75 % of the disk
gateway  64.0 MiB resident, 128.0 MiB at most (process 7)
CPU      1.2 s in this process, 2.0 s in the gateway
";
        assert_eq!(text(&args, &measured), expected);
        assert_eq!(json(&args, &measured)["write"]["events_per_second"], 1_500_000);
    }
}
