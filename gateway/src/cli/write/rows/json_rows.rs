//! JSON lines for streams with columns.

use std::io::BufRead;

use sluice_schema::types::Schema;

use super::{BATCH_BYTES, BATCH_ROWS, Rows, Sink, each_line, text};
use crate::cli::values::RowsBuilder;

pub(super) fn read(reader: impl BufRead, schema: &Schema, sink: &mut Sink<'_>) -> Result<(), String> {
    let mut builder = RowsBuilder::new(schema);
    let mut bytes = 0;
    each_line(reader, false, |_, line| {
        builder.push_json(text(line)?)?;
        bytes += line.len();
        if builder.rows() < BATCH_ROWS && bytes < BATCH_BYTES {
            return Ok(true);
        }
        bytes = 0;
        Ok(sink.give(Rows::Batch(builder.take()?)))
    })?;
    sink.give(Rows::Batch(builder.take()?));
    Ok(())
}
