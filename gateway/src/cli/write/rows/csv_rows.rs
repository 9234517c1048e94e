//! CSV for streams with columns.

use std::io::Read;

use csv::{ReaderBuilder, StringRecord};
use sluice_schema::types::{Field, Kind, Schema};

use super::{BATCH_BYTES, BATCH_ROWS, Options, Rows, Sink};
use crate::cli::values::RowsBuilder;

pub(super) fn read(reader: impl Read, schema: &Schema, options: &Options, sink: &mut Sink<'_>) -> Result<(), String> {
    let mut reader = ReaderBuilder::new().delimiter(options.delimiter).has_headers(options.header).from_reader(reader);
    let places = places(&mut reader, schema, options)?;
    let mut builder = RowsBuilder::new(schema);
    let mut record = StringRecord::new();
    let mut bytes = 0;
    while reader.read_record(&mut record).map_err(fault)? {
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |(field, place): (&Field, &Option<usize>)| {
            let text = record.get((*place)?)?;
            let null = text == options.null && !(text.is_empty() && must_be_text(field));
            (!null).then_some(text)
        };
        let cells: Vec<Option<&str>> = schema.fields().iter().zip(&places).map(cell).collect();
        builder.push_text(cells).map_err(|e| format!(" line {line}, {e}"))?;
        bytes += record.as_slice().len();
        if builder.rows() < BATCH_ROWS && bytes < BATCH_BYTES {
            continue;
        }
        bytes = 0;
        if !sink.give(Rows::Batch(builder.take()?)) {
            return Ok(());
        }
    }
    sink.give(Rows::Batch(builder.take()?));
    Ok(())
}

/// An empty field of a NOT NULL text column is the empty text.
fn must_be_text(field: &Field) -> bool {
    !field.data_type.nullable && matches!(field.data_type.kind, Kind::VarChar(_) | Kind::Char(_))
}

/// For each column of the schema its place in the records, from the header or by order.
fn places<R: Read>(
    reader: &mut csv::Reader<R>,
    schema: &Schema,
    options: &Options,
) -> Result<Vec<Option<usize>>, String> {
    let fields = schema.fields();
    if !options.header {
        return Ok((0..fields.len()).map(Some).collect());
    }
    let header = reader.headers().map_err(fault)?.clone();
    let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
    for (index, name) in names.iter().enumerate() {
        if schema.index_of(name).is_none() {
            return Err(format!(" line 1, the stream has no column `{name}`"));
        }
        if names[..index].contains(name) {
            return Err(format!(" line 1, the column `{name}` stands twice"));
        }
    }
    let place = |field: &Field| {
        let place = names.iter().position(|name| *name == field.name);
        match place {
            None if !field.data_type.nullable => {
                Err(format!(" line 1, the column `{}` is missing, but NOT NULL", field.name))
            }
            place => Ok(place),
        }
    };
    fields.iter().map(place).collect()
}

fn fault(error: csv::Error) -> String {
    let line = error.position().map_or_else(String::new, |at| format!(" line {}", at.line()));
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{line}, it has {len} fields instead of {expected_len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => format!("{line}, field {}: it is no UTF-8", err.field() + 1),
        _ => format!("{line}: {error}"),
    }
}
