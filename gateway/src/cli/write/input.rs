//! Where rows come from: a file or stdin.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::{InputFormat, WriteArgs};
use crate::cli::exit::Failure;

/// An opened input.
pub struct Input {
    /// What messages call it.
    pub name: String,
    pub format: Option<InputFormat>,
    /// Its length, if it is a regular file.
    pub length: Option<u64>,
    pub source: Source,
}

pub enum Source {
    File(File),
    Stdin,
}

impl Source {
    pub fn into_reader(self) -> Box<dyn Read> {
        match self {
            Self::File(file) => Box::new(file),
            Self::Stdin => Box::new(io::stdin()),
        }
    }
}

/// Opens the input and finds out its format, as far as that is known before the stream is.
pub fn open(args: &WriteArgs) -> Result<Input, Failure> {
    if args.file == Path::new("-") {
        return Ok(Input { name: "stdin".into(), format: args.format, length: None, source: Source::Stdin });
    }
    let name = args.file.display().to_string();
    let file = File::open(&args.file).map_err(|e| Failure::usage(format!("cannot open {name}: {e}")))?;
    let metadata = file.metadata().map_err(|e| Failure::usage(format!("cannot open {name}: {e}")))?;
    if metadata.is_dir() {
        return Err(Failure::usage(format!("{name} is a directory: name a file")));
    }
    let format = match args.format {
        Some(format) => Some(format),
        None => Some(by_ending(&args.file).ok_or_else(|| {
            Failure::usage(format!(
                "the ending of {name} does not say what it holds: add --format csv, jsonl, parquet or lines"
            ))
        })?),
    };
    let length = metadata.is_file().then_some(metadata.len());
    Ok(Input { name, format, length, source: Source::File(file) })
}

fn by_ending(path: &Path) -> Option<InputFormat> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" => Some(InputFormat::Csv),
        "json" | "jsonl" | "ndjson" => Some(InputFormat::Jsonl),
        "parquet" => Some(InputFormat::Parquet),
        "txt" | "log" => Some(InputFormat::Lines),
        _ => None,
    }
}
