//! What a process uses, as `/proc` tells. The gateway's, when it runs on this machine, is found by the socket at its port.

use std::{fs, path::Path};

use serde_json::{Value, json};

/// Clock ticks per second in `/proc`: a constant of Linux's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory and CPU time of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Its process id.
    pub pid: u32,
    /// Bytes resident now.
    pub resident_bytes: u64,
    /// Most bytes resident since it started.
    pub peak_bytes: u64,
    /// CPU time since it started.
    pub cpu_seconds: f64,
}

impl Usage {
    /// The same with the CPU time used since an earlier look; `None` when one of both failed.
    pub fn since(now: Option<Self>, before: Option<Self>) -> Option<Self> {
        let (now, before) = (now?, before?);
        Some(Self { cpu_seconds: now.cpu_seconds - before.cpu_seconds, ..now })
    }

    /// For programs.
    pub fn json(self) -> Value {
        json!({
            "pid": self.pid,
            "resident_bytes": self.resident_bytes,
            "peak_bytes": self.peak_bytes,
            "cpu_seconds": self.cpu_seconds,
        })
    }
}

/// Of this process.
pub fn own() -> Option<Usage> {
    of(std::process::id())
}

/// Of the process that listens at an endpoint; `None` when it is not on this machine or not ours to look at.
pub fn of_listener(endpoint: &str) -> Option<Usage> {
    let authority = endpoint.strip_prefix("http://")?.trim_end_matches('/');
    let (host, port) = authority.rsplit_once(':')?;
    if !matches!(host, "127.0.0.1" | "localhost" | "[::1]") {
        return None;
    }
    let port: u16 = port.parse().ok()?;
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|table| fs::read_to_string(table).ok());
    let inode = tables.flat_map(|table| listening(&table, port)).next()?;
    of(owner(&format!("socket:[{inode}]"))?)
}

fn of(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold blanks; user and system time are the 14th and 15th field.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(Usage {
        pid,
        resident_bytes: kib(&status, "VmRSS:")?,
        peak_bytes: kib(&status, "VmHWM:")?,
        cpu_seconds: ticks / TICKS_PER_SECOND,
    })
}

/// Inodes of the sockets that listen at a port.
fn listening(table: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    let mut rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.len() > 9 && row[1].ends_with(&wanted) && row[3] == LISTEN)?;
    Some(row[9].to_string())
}

fn owner(socket: &str) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.find(|pid| {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|link| link == Path::new(socket)))
    })
}

fn kib(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(field))?;
    let number: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(number << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_its_socket() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let usage = of_listener(&format!("http://127.0.0.1:{port}")).unwrap();
        assert_eq!(usage.pid, std::process::id());
        assert!(usage.resident_bytes > 0 && usage.peak_bytes >= usage.resident_bytes);
        assert_eq!(of_listener("http://example.com:80"), None);
    }

    #[test]
    fn cpu_time_counts_from_the_earlier_look() {
        let before = own();
        let began = tokio::time::Instant::now();
        while began.elapsed().as_millis() < 200 {
            std::hint::black_box(0);
        }
        let used = Usage::since(own(), before).unwrap();
        assert!(used.cpu_seconds > 0.0, "{used:?}");
        assert_eq!(Usage::since(own(), None), None);
    }
}
