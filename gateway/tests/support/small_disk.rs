//! A disk that can really be full: a small file system in a mount namespace of its own, for which nobody needs to be root.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// Makes the file system, says so, and keeps it until its stdin ends.
const HOLD: &str = r#"mount -t tmpfs -o "size=$2k" none "$1" && echo mounted && exec cat"#;

/// A file system of its own; goes when it is dropped and no process uses it.
pub struct SmallDisk {
    mount: TempDir,
    holder: Child,
}

impl SmallDisk {
    pub fn new(kibibytes: u32) -> Self {
        let mount = tempfile::tempdir().unwrap();
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", HOLD, "sh"])
            .arg(mount.path())
            .arg(kibibytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs `unshare` of util-linux");
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(
            said, "mounted\n",
            "this test needs a small file system of its own: allow unprivileged user namespaces (on Debian \
             `sysctl kernel.unprivileged_userns_clone=1`, in a container `--cap-add SYS_ADMIN`)"
        );
        Self { mount, holder }
    }

    /// Where it is mounted, for processes started with [`Self::launcher`].
    pub fn path(&self) -> &Path {
        self.mount.path()
    }

    /// The words before a command that is to see it.
    pub fn launcher(&self) -> Vec<String> {
        let holder = self.holder.id().to_string();
        ["nsenter", "--preserve-credentials", "--user", "--mount", "--target", &holder].map(String::from).to_vec()
    }

    /// A file on it as this process sees it.
    fn file(&self, name: &str) -> PathBuf {
        let inside = self.path().strip_prefix("/").unwrap();
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside).join(name)
    }

    /// Takes all space there is left into one file.
    pub fn fill(&self, name: &str) {
        let mut file = File::options().create(true).append(true).open(self.file(name)).unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }

    /// Gives the space of a file back, but for `kept` bytes.
    pub fn shrink(&self, name: &str, kept: u64) {
        File::options().write(true).open(self.file(name)).unwrap().set_len(kept).unwrap();
    }

    /// The length of a file.
    pub fn len(&self, name: &str) -> u64 {
        std::fs::metadata(self.file(name)).unwrap().len()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
