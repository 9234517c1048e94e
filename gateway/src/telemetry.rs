//! Structured logs on stderr.

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, Settings};

/// Starts logging for `sluice serve`. Fails when the filter is malformed or logging was started before.
pub fn start(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log_level)
        .map_err(|e| anyhow::anyhow!("log_level `{}` is no level and no filter: {e}", settings.log_level))?;
    let logs = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true);
    let started = match settings.log_format {
        LogFormat::Text => logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("cannot start logging: {e}"))
}

/// Starts logging for the other commands: warnings, or what `RUST_LOG` says.
pub fn start_for_cli() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let logs =
        fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).without_time().with_target(false);
    // Logging that was started before (by a test) goes on as it is.
    let _ = logs.try_init();
}
