//! Memory of the gateway's process, when it runs on this machine: found by the socket that listens at its port.

use std::{fs, path::Path};

/// Memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Its process id.
    pub pid: u32,
    /// Bytes resident now.
    pub resident_bytes: u64,
    /// Most bytes resident since it started.
    pub peak_bytes: u64,
}

/// Memory of the process that listens at an endpoint; `None` when it is not on this machine or not ours to look at.
pub fn memory_of_listener(endpoint: &str) -> Option<Memory> {
    let authority = endpoint.strip_prefix("http://")?.trim_end_matches('/');
    let (host, port) = authority.rsplit_once(':')?;
    if !matches!(host, "127.0.0.1" | "localhost" | "[::1]") {
        return None;
    }
    let port: u16 = port.parse().ok()?;
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|table| fs::read_to_string(table).ok());
    let inode = tables.flat_map(|table| listening(&table, port)).next()?;
    let pid = owner(&format!("socket:[{inode}]"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Memory { pid, resident_bytes: kib(&status, "VmRSS:")?, peak_bytes: kib(&status, "VmHWM:")? })
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
        let memory = memory_of_listener(&format!("http://127.0.0.1:{port}")).unwrap();
        assert_eq!(memory.pid, std::process::id());
        assert!(memory.resident_bytes > 0 && memory.peak_bytes >= memory.resident_bytes);
        assert_eq!(memory_of_listener("http://example.com:80"), None);
    }
}
