//! Settings of `sluice serve`: a TOML file, over it the environment, over it flags.
//!
//! `config/default.toml` is the reference: every key with its unit, range and default, tested to equal
//! [`Settings::default`]. Unknown keys are errors everywhere.

mod layers;
mod units;

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use layers::{Layers, Problem};
pub use units::{ByteSize, Span};

/// The commented default file.
pub const DEFAULT_FILE: &str = include_str!("../../config/default.toml");

/// Everything that can be set. See `config/default.toml` for what each key means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the gRPC services.
    pub listen: SocketAddr,
    /// Address of /health and /metrics.
    pub http_listen: SocketAddr,
    /// The data directory; made when it is missing.
    pub data_dir: PathBuf,
    /// Allows addresses that are not loopback, without encryption or authentication.
    pub insecure: bool,
    /// Form of the logs on stderr.
    pub log_format: LogFormat,
    /// What is logged: a level, or tracing's filter directives.
    pub log_level: String,
    /// Bytes of recent blocks kept in memory for readers.
    pub cache_bytes: ByteSize,
    /// An OPEN transaction without appends for so long is aborted. Prepared ones never are.
    pub open_transaction_ttl: Span,
    /// The log.
    pub log: LogSettings,
    /// Publication as Parquet.
    pub tiering: TieringSettings,
    /// Bounds on what clients may have under way.
    pub limits: LimitSettings,
}

/// Form of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Size at which a new log file is started.
    pub file_bytes: ByteSize,
    /// Size of all log files above which live blocks are copied forward and old files dropped.
    pub limit_bytes: ByteSize,
    /// Bytes written after which the log is synced although nobody waits for it.
    pub sync_bytes: ByteSize,
}

/// Publication as Parquet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TieringSettings {
    /// Bytes of committed blocks of a segment at which a file is published.
    pub file_bytes_target: ByteSize,
    /// Age of the oldest committed event of a segment at which a file is published, however small.
    pub max_age: Span,
    /// How often segments are looked at.
    pub interval: Span,
    /// Encoded bytes at which a row group ends.
    pub row_group_bytes: ByteSize,
}

/// Bounds on what clients may have under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Bytes of appends that wait for the log; more are pushed back through flow control.
    pub queue_bytes: ByteSize,
    /// Bytes of blocks that are read before readers ask for them, over all readers.
    pub read_ahead_bytes: ByteSize,
    /// Committed bytes that may wait to be published as Parquet; writers are held back while more do.
    pub unpublished_bytes: ByteSize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            http_listen: SocketAddr::from(([127, 0, 0, 1], 9091)),
            data_dir: PathBuf::from("sluice-data"),
            insecure: false,
            log_format: LogFormat::Text,
            log_level: "info".into(),
            cache_bytes: ByteSize::mib(128),
            open_transaction_ttl: Span::from_seconds(24 * 3600),
            log: LogSettings::default(),
            tiering: TieringSettings::default(),
            limits: LimitSettings::default(),
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { file_bytes: ByteSize::mib(64), limit_bytes: ByteSize::mib(2048), sync_bytes: ByteSize::mib(8) }
    }
}

impl Default for TieringSettings {
    fn default() -> Self {
        Self {
            file_bytes_target: ByteSize::mib(128),
            max_age: Span::from_seconds(600),
            interval: Span::from_seconds(5),
            row_group_bytes: ByteSize::mib(16),
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            queue_bytes: ByteSize::mib(64),
            read_ahead_bytes: ByteSize::mib(32),
            unpublished_bytes: ByteSize::mib(16 << 10),
        }
    }
}

impl Settings {
    /// Refuses settings that cannot work or are not safe, with what to do.
    pub fn check(&self) -> Result<(), Problem> {
        for (key, address) in [("listen", self.listen), ("http_listen", self.http_listen)] {
            if !address.ip().is_loopback() && !self.insecure {
                return Err(Problem::new(format!(
                    "{key} = {address} can be reached from other machines, and there is no encryption or authentication yet: \
                     use a loopback address, or add --insecure if everyone who can reach it may read and write everything"
                )));
            }
        }
        if self.listen == self.http_listen && self.listen.port() != 0 {
            return Err(Problem::new(format!(
                "listen and http_listen are both {}: give them different ports",
                self.listen
            )));
        }
        if self.data_dir.as_os_str().is_empty() {
            return Err(Problem::new("data_dir is empty: name a directory"));
        }
        let least = [
            ("log.file_bytes", self.log.file_bytes, ByteSize::mib(1)),
            ("log.limit_bytes", self.log.limit_bytes, ByteSize::bytes(4 * self.log.file_bytes.get())),
            ("log.sync_bytes", self.log.sync_bytes, ByteSize::bytes(64 << 10)),
            ("tiering.file_bytes_target", self.tiering.file_bytes_target, ByteSize::bytes(64 << 10)),
            ("tiering.row_group_bytes", self.tiering.row_group_bytes, ByteSize::mib(1)),
            ("limits.queue_bytes", self.limits.queue_bytes, ByteSize::mib(16)),
            ("limits.read_ahead_bytes", self.limits.read_ahead_bytes, ByteSize::mib(1)),
            ("limits.unpublished_bytes", self.limits.unpublished_bytes, ByteSize::mib(1)),
        ];
        for (key, value, least) in least {
            if value < least {
                return Err(Problem::new(format!("{key} = {value} is too small: at least {least}")));
            }
        }
        for (key, value) in [
            ("tiering.interval", self.tiering.interval),
            ("tiering.max_age", self.tiering.max_age),
            ("open_transaction_ttl", self.open_transaction_ttl),
        ] {
            if value.as_millis() == 0 {
                return Err(Problem::new(format!("{key} = {value} is too short: at least 1ms")));
            }
        }
        Ok(())
    }

    /// The settings as a TOML file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("plain data always has a TOML form")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_is_the_default() {
        assert_eq!(toml::from_str::<Settings>(DEFAULT_FILE).unwrap(), Settings::default());
        // It also names every key, not only those that happen to differ.
        let named: toml::Table = toml::from_str(DEFAULT_FILE).unwrap();
        assert_eq!(named, toml::Table::try_from(Settings::default()).unwrap());
        Settings::default().check().unwrap();
    }

    #[test]
    fn a_dump_reads_back_as_itself() {
        let settings = Settings {
            listen: "[::1]:7".parse().unwrap(),
            insecure: true,
            log_format: LogFormat::Json,
            tiering: TieringSettings { max_age: Span::from_millis(1), ..TieringSettings::default() },
            ..Settings::default()
        };
        assert_eq!(toml::from_str::<Settings>(&settings.to_toml()).unwrap(), settings);
    }

    #[test]
    fn an_open_address_needs_insecure() {
        let open = Settings { listen: "0.0.0.0:9090".parse().unwrap(), ..Settings::default() };
        let problem = open.check().unwrap_err().to_string();
        assert!(problem.contains("0.0.0.0:9090") && problem.contains("--insecure"), "{problem}");
        Settings { insecure: true, ..open }.check().unwrap();
        let open = Settings { http_listen: "10.0.0.1:9091".parse().unwrap(), ..Settings::default() };
        assert!(open.check().unwrap_err().to_string().contains("http_listen"));
    }

    #[test]
    fn zero_and_clashing_values_are_refused() {
        let zero = LogSettings { sync_bytes: ByteSize::bytes(0), ..LogSettings::default() };
        let problem = Settings { log: zero, ..Settings::default() }.check().unwrap_err().to_string();
        assert!(problem.contains("log.sync_bytes = 0B"), "{problem}");
        let same = Settings { http_listen: Settings::default().listen, ..Settings::default() };
        assert!(same.check().unwrap_err().to_string().contains("different ports"));
        let never = TieringSettings { interval: Span::from_millis(0), ..TieringSettings::default() };
        assert!(Settings { tiering: never, ..Settings::default() }.check().is_err());
    }
}
