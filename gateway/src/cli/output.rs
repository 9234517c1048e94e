//! Data on stdout: aligned tables or JSON.

use std::io::{self, BufWriter, StdoutLock, Write as _};

use clap::ValueEnum;
use serde_json::Value;

use super::exit::{Failure, Outcome};

/// Form of the data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: aligned columns.
    Text,
    /// For programs.
    Json,
}

/// Stdout, locked and buffered, for as long as data is written.
pub type Stdout = BufWriter<StdoutLock<'static>>;

/// Takes stdout.
pub fn stdout() -> Stdout {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// Columns with a heading, aligned when written.
#[derive(Debug)]
pub struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these heads. A head that ends with `>` names a column of numbers, which is aligned to the right.
    pub fn new(heads: &[&'static str]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<I: IntoIterator<Item: Into<String>>>(&mut self, cells: I) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The lines, without trailing blanks.
    pub fn render(&self) -> String {
        let heads: Vec<&str> = self.heads.iter().map(|head| head.trim_end_matches('>')).collect();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([heads[column].chars().count()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for (column, cell) in cells.enumerate() {
                let (width, gap) = (widths[column], if column > 0 { "  " } else { "" });
                match self.heads[column].ends_with('>') {
                    true => text.push_str(&format!("{gap}{cell:>width$}")),
                    false => text.push_str(&format!("{gap}{cell:<width$}")),
                }
            }
            format!("{}\n", text.trim_end())
        };
        let mut text = line(&mut heads.iter().copied());
        for row in &self.rows {
            text.push_str(&line(&mut row.iter().map(String::as_str)));
        }
        text
    }
}

/// Writes text or JSON as asked for.
pub fn emit(format: Format, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> Outcome {
    let mut out = stdout();
    match format {
        Format::Text => out.write_all(text().as_bytes())?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &json()).map_err(|e| Failure::new(e.to_string()))?;
            out.write_all(b"\n")?;
        }
    }
    Ok(out.flush()?)
}

/// One line on stderr, for people.
pub fn note(text: impl AsRef<str>) {
    // Whoever closed stderr does not want to know.
    let _ = writeln!(io::stderr(), "{}", text.as_ref());
}

/// A size for people.
pub fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut number = bytes as f64;
    let mut unit = 0;
    while number >= 1024.0 && unit + 1 < units.len() {
        number /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{number:.1} {}", units[unit]) }
}

/// A time for people: UTC, to the second.
pub fn time(millis: u64) -> String {
    if millis == 0 {
        return "-".into();
    }
    let time = i64::try_from(millis).ok().and_then(chrono::DateTime::from_timestamp_millis);
    time.map_or_else(|| "-".into(), |time| time.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// An id of 16 bytes as people write it.
pub fn id(bytes: &[u8]) -> String {
    match uuid::Uuid::from_slice(bytes) {
        Ok(id) => id.to_string(),
        Err(_) => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let mut table = Table::new(&["STREAM", "EVENTS>", "STATE"]);
        table.row(["nyc/flights", "336776", "active"]);
        table.row(["a/b", "7", "sealed"]);
        let expected = "STREAM       EVENTS  STATE\nnyc/flights  336776  active\na/b               7  sealed\n";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(64 << 20), "64.0 MiB");
        assert_eq!(time(0), "-");
        assert_eq!(time(1_700_000_000_000), "2023-11-14 22:13:20Z");
        assert_eq!(id(&[1]), "-");
    }
}
