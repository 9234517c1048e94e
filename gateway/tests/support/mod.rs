//! The gateway and the command line as real processes.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "a failed test shows the gateway's log")]

mod small_disk;

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;

pub use small_disk::SmallDisk;

const BINARY: &str = env!("CARGO_BIN_EXE_sluice");
/// How long a gateway may take to answer /health.
const START_TRIES: u32 = 400;
/// The gateway's log, beside its data.
const LOG: &str = "gateway.log";

/// A gateway over a data directory of its own; both go when it is dropped.
pub struct Gateway {
    folder: TempDir,
    child: Child,
    listen: SocketAddr,
    http: SocketAddr,
    data: PathBuf,
    flags: Vec<String>,
    /// Words before the binary, for example of a tool that enters another mount namespace.
    launcher: Vec<String>,
}

impl Gateway {
    /// Starts a gateway on free ports and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Self::start`], with more flags for `sluice serve`.
    pub fn start_with(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::launch(folder, data, flags, Vec::new())
    }

    /// As [`Self::start_with`], on a disk of its own.
    pub fn start_on(disk: &SmallDisk, flags: &[&str]) -> Self {
        Self::launch(tempfile::tempdir().unwrap(), disk.path().join("data"), flags, disk.launcher())
    }

    fn launch(folder: TempDir, data: PathBuf, flags: &[&str], launcher: Vec<String>) -> Self {
        let (listen, http) = (free_address(), free_address());
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let child = spawn(&launcher, folder.path(), &data, listen, http, &flags);
        let mut gateway = Self { folder, child, listen, http, data, flags, launcher };
        gateway.wait_ready();
        gateway
    }

    /// The address of its gRPC services.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// The exit code, when it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).unwrap()
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
        self.restart();
    }

    /// Starts it again after it ended, on the same ports and data.
    pub fn restart(&mut self) {
        self.spawn_again();
        self.wait_ready();
    }

    /// As [`Self::restart`]; answers the exit code if it does not start.
    pub fn try_restart(&mut self) -> Option<i32> {
        self.spawn_again();
        self.ready_or_ended()
    }

    fn spawn_again(&mut self) {
        let (launcher, folder) = (&self.launcher, self.folder.path());
        self.child = spawn(launcher, folder, &self.data, self.listen, self.http, &self.flags);
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it ends by itself; answers the exit code.
    pub fn wait_end(&mut self) -> i32 {
        for _ in 0..START_TRIES {
            if let Some(code) = self.ended() {
                return code;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the gateway does not end");
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
        if let Some(code) = self.ready_or_ended() {
            panic!("the gateway ended with exit code {code}");
        }
    }

    fn ready_or_ended(&mut self) -> Option<i32> {
        for _ in 0..START_TRIES {
            if let Some(code) = self.ended() {
                return Some(code);
            }
            if health(self.http).is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return None;
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
        if std::thread::panicking() {
            eprintln!("--- log of the gateway\n{}---", self.log());
        }
    }
}

/// An address nobody listens on now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn spawn(
    launcher: &[String],
    folder: &Path,
    data: &Path,
    listen: SocketAddr,
    http: SocketAddr,
    flags: &[String],
) -> Child {
    let log = File::options().create(true).append(true).open(folder.join(LOG)).unwrap();
    let mut words = launcher.iter().map(String::as_str).chain([BINARY, "serve"]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).arg("--data-dir").arg(data);
    command.args(["--listen", &listen.to_string(), "--http-listen", &http.to_string(), "--log-level", "warn"]);
    command.args(flags).stderr(log).spawn().unwrap()
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

/// Runs `sluice serve`, which is expected to end by itself.
pub fn serve(data: &Path, listen: SocketAddr, http: SocketAddr) -> Run {
    sluice(
        &format!("serve --data-dir {} --listen {listen} --http-listen {http} --log-level warn", data.display()),
        "",
        "",
    )
}

/// Runs `sluice` with the words of a line; a word in single quotes may hold blanks.
pub fn sluice(line: &str, stdin: &str, endpoint: &str) -> Run {
    use std::io::Write as _;
    let quoted = line.split('\'').enumerate();
    let words = quoted.flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().collect::<Vec<_>>(),
        _ => vec![part],
    });
    // A command that does not end fails its test and not the whole run: code 137.
    let mut child = Command::new("timeout")
        .args(["-s", "KILL", "60", BINARY])
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
        code: status.code().unwrap_or(137),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}
