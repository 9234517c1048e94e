//! Values as text: CSV fields and JSON to Arrow columns and back, for every type of a schema.
//!
//! | type | CSV and inside JSON strings | JSON |
//! |---|---|---|
//! | BOOLEAN | `true`, `false` | boolean |
//! | integers | `42` | number |
//! | FLOAT, DOUBLE | `1.5`, `NaN`, `Infinity`, `-Infinity` | number, or one of these words as a string |
//! | DECIMAL | `12.50`, exact | written as a string, read from a string or a number |
//! | CHAR, VARCHAR | as it is; CHAR is padded with blanks | string |
//! | BINARY, VARBINARY | base64; BINARY is padded with zero bytes | string |
//! | DATE, TIME | `2013-01-31`, `17:05:09.250` | string |
//! | TIMESTAMP | `2013-01-31T17:05:09.250`, also with a blank for the T | string |
//! | TIMESTAMP_LTZ | the same with `Z` or an offset such as `+01:00`; written with `Z` | string |
//! | ARRAY, ROW | JSON | array, object |
//! | MAP | JSON | object for keys of strings, else an array of `{"key": .., "value": ..}` |

mod builder;
mod render;
mod scalar;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, RecordBatch};
use serde_json::value::RawValue;
use sluice_schema::types::Schema;

use builder::Column;
pub use render::{csv_text, json_value};

/// Collects rows of a schema from text.
#[derive(Debug)]
pub struct RowsBuilder {
    schema: Schema,
    columns: Vec<Column>,
    rows: usize,
}

impl RowsBuilder {
    /// A builder without rows.
    pub fn new(schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|field| Column::new(&field.data_type)).collect();
        Self { schema: schema.clone(), columns, rows: 0 }
    }

    /// Rows collected.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row from a JSON object; keys are columns, missing ones are null. The error names the column.
    ///
    /// After an error the builder must not be used any more.
    pub fn push_json(&mut self, line: &str) -> Result<(), String> {
        let mut given: BTreeMap<String, &RawValue> =
            serde_json::from_str(line).map_err(|e| format!("it is no JSON object: {}", json_fault(&e)))?;
        for (field, column) in self.schema.fields().iter().zip(&mut self.columns) {
            let pushed = match given.remove(&field.name) {
                Some(raw) => column.push_json(raw),
                None => column.push_null(),
            };
            pushed.map_err(|e| format!("column `{}`: {e}", field.name))?;
        }
        if let Some(unknown) = given.keys().next() {
            return Err(format!("the stream has no column `{unknown}`"));
        }
        self.rows += 1;
        Ok(())
    }

    /// Adds a row from fields of text, one per column of the schema; `None` is null. The error names the column.
    ///
    /// After an error the builder must not be used any more.
    pub fn push_text<'a>(&mut self, fields: impl IntoIterator<Item = Option<&'a str>>) -> Result<(), String> {
        let mut fields = fields.into_iter();
        for (field, column) in self.schema.fields().iter().zip(&mut self.columns) {
            let pushed = match fields.next().flatten() {
                Some(text) => column.push_text(text),
                None => column.push_null(),
            };
            pushed.map_err(|e| format!("column `{}`: {e}", field.name))?;
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows as a batch; leaves the builder empty.
    pub fn take(&mut self) -> Result<RecordBatch, String> {
        self.rows = 0;
        let arrow = self.schema.to_arrow();
        let columns = self.columns.iter_mut().zip(arrow.fields());
        let arrays: Vec<ArrayRef> =
            columns.map(|(column, field)| column.take(field.data_type())).collect::<Result<_, _>>()?;
        RecordBatch::try_new(arrow, arrays).map_err(|e| e.to_string())
    }
}

/// What is wrong with JSON, without the line, which is always 1 here.
fn json_fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => format!("{} at character {}", &text[..at], error.column()),
        None => text,
    }
}
