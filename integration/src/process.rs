//! The gateway as a process that can be killed.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};

/// How long a gateway may take to answer /health.
const START_TRIES: u32 = 600;
const START_PAUSE: Duration = Duration::from_millis(50);

/// A gateway process over a data directory; killed when dropped.
pub struct Gateway {
    child: Child,
    /// Address of the gRPC services, as an endpoint.
    pub endpoint: String,
    /// Address of /health and /metrics.
    pub http: SocketAddr,
    listen: SocketAddr,
    data: PathBuf,
    flags: Vec<String>,
}

/// The binary: `SLUICE_BINARY`, or the one beside the running test's target folder.
pub fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("SLUICE_BINARY") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("the test runs from a target folder")?;
    let path = folder.join("sluice");
    if !path.exists() {
        bail!("{} is missing: run `cargo build -p sluice-gateway` first, or set SLUICE_BINARY", path.display());
    }
    Ok(path)
}

/// A port nobody listens on now.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

impl Gateway {
    /// Starts a gateway on free ports and waits until it is ready. `flags` are added to `sluice serve`.
    pub fn start(data: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let (listen, http) = (free_address()?, free_address()?);
        let flags: Vec<String> = flags.iter().map(|flag| flag.to_string()).collect();
        let child = spawn(data, listen, http, &flags)?;
        let mut gateway = Self { child, endpoint: format!("http://{listen}"), http, listen, data: data.into(), flags };
        gateway.wait_ready()?;
        Ok(gateway)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process with SIGKILL and waits for its end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts the process again on the same ports and data.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.child = spawn(&self.data, self.listen, self.http, &self.flags)?;
        self.wait_ready()
    }

    /// Asks the process to end and waits until it did.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let ended = self.child.wait()?;
        if !asked.success() || !ended.success() {
            bail!("the gateway did not stop cleanly: {ended}");
        }
        Ok(())
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        for _ in 0..START_TRIES {
            if let Some(ended) = self.child.try_wait()? {
                bail!("the gateway ended at start: {ended}; see {}", log_path(&self.data).display());
            }
            if healthy(self.http) {
                return Ok(());
            }
            std::thread::sleep(START_PAUSE);
        }
        bail!("the gateway was not ready after 30 s; see {}", log_path(&self.data).display())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_path(data: &Path) -> PathBuf {
    data.with_extension("gateway.log")
}

fn spawn(data: &Path, listen: SocketAddr, http: SocketAddr, flags: &[String]) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(log_path(data))?;
    let child = Command::new(binary()?)
        .arg("serve")
        .args(["--listen", &listen.to_string(), "--http-listen", &http.to_string()])
        .arg("--data-dir")
        .arg(data)
        .args(flags)
        // The gateway takes SLUICE_* for settings.
        .env_remove("SLUICE_BINARY")
        .env_remove("SLUICE_CACHE")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    Ok(child)
}

/// Whether /health answers 200.
fn healthy(http: SocketAddr) -> bool {
    get(http, "/health").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// One HTTP GET, headers and body as text.
pub fn get(http: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut connection = TcpStream::connect_timeout(&http, Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Resident memory of a process in bytes.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS is missing")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
