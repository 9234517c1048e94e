//! Lines and JSON lines for streams of bytes.

use std::{collections::BTreeMap, io::BufRead};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::DateTime;
use serde_json::value::RawValue;
use sluice_client::Event;

use super::{BATCH_BYTES, BATCH_ROWS, Rows, Sink, each_line, text};

/// An event of the bytes schema.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct OwnedEvent {
    pub key: Option<Vec<u8>>,
    pub value: Vec<u8>,
    pub event_time_ms: Option<i64>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl OwnedEvent {
    /// Calls `with` with the event as the client takes it.
    pub fn headers(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }

    pub fn as_event<'a>(&'a self, headers: &'a [(&'a str, &'a [u8])]) -> Event<'a> {
        Event { key: self.key.as_deref(), value: &self.value, event_time_ms: self.event_time_ms, headers }
    }
}

pub(super) fn read_lines(reader: impl BufRead, sink: &mut Sink<'_>) -> Result<(), String> {
    collect(reader, true, sink, |line| Ok(OwnedEvent { value: line.to_vec(), ..OwnedEvent::default() }))
}

pub(super) fn read_json(reader: impl BufRead, sink: &mut Sink<'_>) -> Result<(), String> {
    collect(reader, false, sink, |line| event(text(line)?))
}

fn collect(
    reader: impl BufRead,
    keep_blank: bool,
    sink: &mut Sink<'_>,
    parse: impl Fn(&[u8]) -> Result<OwnedEvent, String>,
) -> Result<(), String> {
    let mut events = Vec::new();
    let mut bytes = 0;
    each_line(reader, keep_blank, |_, line| {
        events.push(parse(line)?);
        bytes += line.len();
        if events.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            return Ok(true);
        }
        bytes = 0;
        Ok(sink.give(Rows::Events(std::mem::take(&mut events))))
    })?;
    sink.give(Rows::Events(events));
    Ok(())
}

/// An event from a JSON object.
pub(super) fn event(line: &str) -> Result<OwnedEvent, String> {
    let given: BTreeMap<String, &RawValue> =
        serde_json::from_str(line).map_err(|e| format!("it is no JSON object: {e}"))?;
    let mut event = OwnedEvent::default();
    let mut has_value = false;
    for (name, raw) in given {
        if raw.get() == "null" {
            continue;
        }
        let fault = |e: String| format!("column `{name}`: {e}");
        match name.as_str() {
            "key" => event.key = Some(string(raw).map_err(fault)?.into_bytes()),
            "key_base64" => event.key = Some(base64(raw).map_err(fault)?),
            "value" => {
                event.value =
                    if raw.get().starts_with('"') { string(raw).map_err(fault)?.into_bytes() } else { raw.get().into() }
            }
            "value_base64" => event.value = base64(raw).map_err(fault)?,
            "event_time" => event.event_time_ms = Some(event_time(raw).map_err(fault)?),
            "headers" => event.headers = headers(raw).map_err(fault)?,
            _ => return Err(format!("an event has no `{name}`, only key, value, event_time and headers")),
        }
        has_value |= name.starts_with("value");
    }
    if has_value { Ok(event) } else { Err("column `value`: it is missing".into()) }
}

fn string(raw: &RawValue) -> Result<String, String> {
    serde_json::from_str(raw.get()).map_err(|_| "it is no string".into())
}

fn base64(raw: &RawValue) -> Result<Vec<u8>, String> {
    STANDARD.decode(string(raw)?).map_err(|_| "it is no base64".into())
}

/// Milliseconds since 1970, or a time such as 2013-01-31T17:05:09Z; without a zone it is UTC.
fn event_time(raw: &RawValue) -> Result<i64, String> {
    if let Ok(millis) = raw.get().parse() {
        return Ok(millis);
    }
    let given = string(raw)?.replacen(' ', "T", 1);
    let zoned = DateTime::parse_from_rfc3339(&given).or_else(|_| DateTime::parse_from_rfc3339(&format!("{given}Z")));
    zoned.map(|time| time.timestamp_millis()).map_err(|_| format!("`{given}` is no time such as 2013-01-31T17:05:09Z"))
}

fn headers(raw: &RawValue) -> Result<Vec<(String, Vec<u8>)>, String> {
    let given: BTreeMap<String, String> =
        serde_json::from_str(raw.get()).map_err(|_| "it is no object of strings".to_string())?;
    Ok(given.into_iter().map(|(name, value)| (name, value.into_bytes())).collect())
}
