//! `sluice serve`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::{
    exit::{Failure, Outcome},
    output::stdout,
};
use crate::{
    config::{Layers, Settings},
    telemetry,
};

/// Run the gateway until it gets SIGTERM or SIGINT.
///
/// Settings come from the file, over it the environment (SLUICE_LISTEN, SLUICE_LOG__SYNC_BYTES, ...), over it flags.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Settings file in TOML
    #[arg(long, env = "SLUICE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the gRPC services
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address of /health and /metrics
    #[arg(long, value_name = "ADDRESS")]
    http_listen: Option<SocketAddr>,
    /// The data directory; made when it is missing
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Allow addresses that are not loopback, without encryption or authentication
    #[arg(long)]
    insecure: bool,
    /// What is logged: a level or filter directives
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// Form of the logs on stderr: text or json
    #[arg(long, value_name = "FORM")]
    log_format: Option<String>,
    /// Any setting, such as tiering.max_age=1min; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print the settings that result, and end
    #[arg(long)]
    dump_config: bool,
}

pub fn run(args: ServeArgs) -> Outcome {
    let dump = args.dump_config;
    let settings = settings(args, std::env::vars())?;
    if dump {
        use std::io::Write as _;
        let mut out = stdout();
        out.write_all(settings.to_toml().as_bytes())?;
        return Ok(out.flush()?);
    }
    telemetry::start(&settings).map_err(|e| Failure::usage(e.to_string()))?;
    let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::new(format!("cannot start threads: {e}")))?;
    // Before serving, so that a signal during recovery counts, too.
    let shutdown =
        runtime.block_on(async { signals() }).map_err(|e| Failure::new(format!("cannot watch signals: {e}")))?;
    let served = runtime.block_on(crate::serve(settings, shutdown));
    served.map_err(|error| Failure::new(format!("{error:#}")))
}

fn settings(args: ServeArgs, environment: impl Iterator<Item = (String, String)>) -> Result<Settings, Failure> {
    let mut layers = Layers::default();
    if let Some(file) = &args.config {
        layers = layers.file(file)?;
    }
    layers = layers.environment(environment)?;
    for pair in &args.set {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| Failure::usage(format!("`{pair}` is no setting: write KEY=VALUE")))?;
        layers = layers.set(key, value)?;
    }
    let flags = [
        ("listen", args.listen.map(|address| address.to_string())),
        ("http_listen", args.http_listen.map(|address| address.to_string())),
        ("data_dir", args.data_dir.map(|folder| folder.to_string_lossy().into_owned())),
        ("insecure", args.insecure.then(|| "true".into())),
        ("log_level", args.log_level),
        ("log_format", args.log_format),
    ];
    for (key, value) in flags {
        if let Some(value) = value {
            layers = layers.set(key, &value)?;
        }
    }
    Ok(layers.finish()?)
}

/// Ends at the first SIGTERM or SIGINT.
fn signals() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::LogFormat;

    #[derive(Parser)]
    struct Harness {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn parsed(flags: &[&str], env: &[(&str, &str)]) -> Result<Settings, Failure> {
        let args = Harness::parse_from([&["serve"], flags].concat()).args;
        settings(
            args,
            env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>().into_iter(),
        )
    }

    #[test]
    fn flags_win_over_set_and_environment_and_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sluice.toml");
        std::fs::write(&file, "listen = '127.0.0.1:1'\nlog_level = 'warn'\n[tiering]\nmax_age = '1min'\n").unwrap();
        let flags = [
            "--config",
            file.to_str().unwrap(),
            "--listen",
            "127.0.0.1:4",
            "--set",
            "tiering.interval=3s",
            "--log-format",
            "json",
        ];
        let settings = parsed(&flags, &[("SLUICE_LISTEN", "127.0.0.1:2"), ("SLUICE_TIERING__INTERVAL", "2s")]).unwrap();
        assert_eq!(settings.listen.port(), 4);
        assert_eq!(settings.tiering.interval.as_millis(), 3000);
        assert_eq!(settings.tiering.max_age.as_millis(), 60_000);
        assert_eq!((settings.log_level.as_str(), settings.log_format), ("warn", LogFormat::Json));
    }

    #[test]
    fn unsafe_and_malformed_settings_end_with_a_usage_error() {
        for flags in [
            &["--listen", "0.0.0.0:9090"][..],
            &["--set", "listen"],
            &["--set", "lisen=1"],
            &["--log-format", "xml"],
            &["--config", "/nowhere.toml"],
        ] {
            assert_eq!(parsed(flags, &[]).unwrap_err().exit, super::super::exit::Exit::Usage, "{flags:?}");
        }
        assert!(parsed(&["--listen", "0.0.0.0:9090", "--insecure"], &[]).is_ok());
    }
}
