//! The gateway and the command line as real processes.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_sluice");
/// How long a gateway may take to answer /health.
const START_TRIES: u32 = 400;

/// A gateway over a data directory of its own; both go when it is dropped.
pub struct Gateway {
    folder: TempDir,
    child: Child,
    listen: SocketAddr,
    http: SocketAddr,
}

impl Gateway {
    /// Starts a gateway on free ports and waits until it is ready.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (listen, http) = (free(), free());
        let child = spawn(&folder.path().join("data"), listen, http);
        let mut gateway = Self { folder, child, listen, http };
        gateway.wait_ready();
        gateway
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// A folder for the test's own files; the data directory is `data` in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills the process with SIGKILL and starts it again on the same ports and data.
    pub fn crash_and_restart(&mut self) {
        self.kill();
        self.child = spawn(&self.folder.path().join("data"), self.listen, self.http);
        self.wait_ready();
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Runs a command against it.
    pub fn run(&self, line: &str) -> Run {
        self.run_with(line, "")
    }

    /// Runs a command against it with this on stdin.
    pub fn run_with(&self, line: &str, stdin: &str) -> Run {
        sluice(line, stdin, &self.endpoint())
    }

    fn wait_ready(&mut self) {
        for _ in 0..START_TRIES {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the gateway ended with {status}");
            }
            if health(self.http).is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the gateway is not ready after {START_TRIES} tries");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(data: &Path, listen: SocketAddr, http: SocketAddr) -> Child {
    let mut command = Command::new(BINARY);
    command.arg("serve").arg("--data-dir").arg(data);
    command.args(["--listen", &listen.to_string(), "--http-listen", &http.to_string(), "--log-level", "warn"]);
    command.spawn().unwrap()
}

fn health(address: SocketAddr) -> Option<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// What a command left.
#[derive(Debug)]
pub struct Run {
    /// Its exit code.
    pub code: i32,
    /// Its data.
    pub out: String,
    /// The rest.
    pub err: String,
}

impl Run {
    /// The data of a command that must have succeeded.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }
}

/// Runs `sluice` with the words of a line; a word in single quotes may hold blanks.
pub fn sluice(line: &str, stdin: &str, endpoint: &str) -> Run {
    use std::io::Write as _;
    let quoted = line.split('\'').enumerate();
    let words = quoted.flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().collect::<Vec<_>>(),
        _ => vec![part],
    });
    let mut child = Command::new(BINARY)
        .args(words)
        .env_clear()
        .env("SLUICE_ENDPOINT", endpoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Run {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}
