//! Putting file, environment and flags over the defaults.

use std::path::Path;

use serde::Deserialize as _;
use toml::{Table, Value};

use super::Settings;

/// What environment variables of settings begin with; `__` stands for the dot: `SLUICE_LOG__SYNC_BYTES`.
const ENV_PREFIX: &str = "SLUICE_";
/// Variables of the command line, which are no settings.
const ENV_OF_CLI: [&str; 4] = ["SLUICE_ENDPOINT", "SLUICE_CONFIG", "SLUICE_OUTPUT", "SLUICE_TIMEOUT"];
/// What Kubernetes sets on its own for a service of the name `sluice`.
const ENV_OF_KUBERNETES: [&str; 2] = ["SLUICE_SERVICE_", "SLUICE_PORT"];

/// Settings that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(String);

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Settings being put together, later layers over earlier ones.
#[derive(Debug)]
pub struct Layers {
    known: Table,
    given: Table,
}

impl Default for Layers {
    fn default() -> Self {
        let known = Table::try_from(Settings::default()).expect("plain data always has a TOML form");
        Self { known, given: Table::new() }
    }
}

impl Layers {
    /// Adds a TOML file.
    pub fn file(self, path: &Path) -> Result<Self, Problem> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Problem::new(format!("cannot read the settings file {}: {e}", path.display())))?;
        self.text(&text, &path.display().to_string())
    }

    fn text(mut self, text: &str, name: &str) -> Result<Self, Problem> {
        let unusable = |e: toml::de::Error| Problem::new(format!("settings file {name}: {}", e.to_string().trim_end()));
        // Read as settings first: these errors name line and column.
        toml::from_str::<Settings>(text).map_err(unusable)?;
        merge(&mut self.given, toml::from_str(text).map_err(unusable)?);
        Ok(self)
    }

    /// Adds the environment's variables that begin with `SLUICE_`.
    pub fn environment(mut self, variables: impl Iterator<Item = (String, String)>) -> Result<Self, Problem> {
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else { continue };
            let foreign = ENV_OF_KUBERNETES.iter().any(|prefix| name.starts_with(prefix));
            if ENV_OF_CLI.contains(&name.as_str()) || foreign {
                continue;
            }
            let key = rest.to_ascii_lowercase().replace("__", ".");
            self = self.set(&key, &value).map_err(|e| Problem::new(format!("environment variable {name}: {e}")))?;
        }
        Ok(self)
    }

    /// Adds one setting, as a flag gives it; `key` is dotted, as in `log.sync_bytes`.
    pub fn set(mut self, key: &str, value: &str) -> Result<Self, Problem> {
        let unknown = || Problem::new(format!("there is no setting `{key}`; `sluice serve --dump-config` shows all"));
        let (section, name) = match key.split_once('.') {
            Some((section, name)) => (Some(section), name),
            None => (None, key),
        };
        let known = match section {
            Some(section) => self.known.get(section).and_then(Value::as_table).ok_or_else(unknown)?,
            None => &self.known,
        };
        let value = match known.get(name).ok_or_else(unknown)? {
            Value::Table(_) => return Err(unknown()),
            Value::Boolean(_) => {
                Value::Boolean(value.parse().map_err(|_| Problem::new(format!("`{value}` is neither true nor false")))?)
            }
            _ => Value::String(value.to_string()),
        };
        let target = match section {
            None => &mut self.given,
            Some(section) => {
                let entry = self.given.entry(section).or_insert_with(|| Value::Table(Table::new()));
                entry.as_table_mut().ok_or_else(unknown)?
            }
        };
        target.insert(name.to_string(), value);
        // Read at once, so that the error belongs to this key.
        self.settings().map_err(|e| Problem::new(format!("setting {key}: {e}")))?;
        Ok(self)
    }

    /// The settings of all layers, checked.
    pub fn finish(self) -> Result<Settings, Problem> {
        let settings = self.settings()?;
        settings.check()?;
        Ok(settings)
    }

    fn settings(&self) -> Result<Settings, Problem> {
        Settings::deserialize(self.given.clone()).map_err(|e| Problem::new(e.message().to_string()))
    }
}

fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ByteSize, Span};

    fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = "listen = '127.0.0.1:1'\nhttp_listen = '127.0.0.1:2'\ncache_bytes = '1MiB'\n[log]\nsync_bytes = '1MiB'\nfile_bytes = '16MiB'\n";
        let layers = Layers::default().text(file, "f").unwrap();
        let env =
            [("SLUICE_HTTP_LISTEN", "127.0.0.1:3"), ("SLUICE_CACHE_BYTES", "2MiB"), ("SLUICE_LOG__SYNC_BYTES", "2MiB")];
        let layers = layers.environment(variables(&env)).unwrap();
        let settings = layers.set("cache_bytes", "3MiB").unwrap().finish().unwrap();
        assert_eq!(settings.listen.port(), 1, "file");
        assert_eq!(settings.http_listen.port(), 3, "environment over file");
        assert_eq!(settings.cache_bytes, ByteSize::mib(3), "flag over environment");
        assert_eq!(settings.log.sync_bytes, ByteSize::mib(2), "nested");
        assert_eq!(settings.log.file_bytes, ByteSize::mib(16), "its neighbour stays");
        assert_eq!(settings.tiering.max_age, Span::from_seconds(600), "default");
    }

    #[test]
    fn unknown_keys_are_refused_wherever_they_stand() {
        for file in ["lisen = '127.0.0.1:1'", "[log]\nsync = '1MiB'", "[unknown]\nx = 1"] {
            let problem = Layers::default().text(file, "x.toml").unwrap_err().to_string();
            assert!(problem.contains("x.toml") && problem.contains("unknown field"), "{problem}");
        }
        for key in ["LISEN", "LOG__SYNC", "LOG", "LOG__SYNC_BYTES__X"] {
            let name = format!("SLUICE_{key}");
            let problem = Layers::default().environment(variables(&[(&name, "1")])).unwrap_err().to_string();
            assert!(problem.contains(&name) && problem.contains("no setting"), "{problem}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_form_names_its_key() {
        let problem = Layers::default().set("log.sync_bytes", "8").unwrap_err().to_string();
        assert!(problem.contains("log.sync_bytes") && problem.contains("64MiB"), "{problem}");
        let problem = Layers::default().set("listen", "localhost").unwrap_err().to_string();
        assert!(problem.contains("listen"), "{problem}");
        let problem = Layers::default().text("[log]\nsync_bytes = 8", "x.toml").unwrap_err().to_string();
        assert!(problem.contains("line 2"), "{problem}");
        let problem = Layers::default().set("insecure", "yes").unwrap_err().to_string();
        assert!(problem.contains("neither true nor false"), "{problem}");
    }

    #[test]
    fn variables_that_are_no_settings_are_left_alone() {
        let env = [
            ("SLUICE_ENDPOINT", "http://x"),
            ("SLUICE_SERVICE_HOST", "10.0.0.1"),
            ("SLUICE_PORT_9090_TCP", "tcp://10.0.0.1:9090"),
            ("PATH", "/bin"),
        ];
        let settings = Layers::default().environment(variables(&env)).unwrap().finish().unwrap();
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn a_missing_file_is_named() {
        let problem = Layers::default().file(Path::new("/nowhere/x.toml")).unwrap_err().to_string();
        assert!(problem.contains("/nowhere/x.toml"), "{problem}");
    }
}
