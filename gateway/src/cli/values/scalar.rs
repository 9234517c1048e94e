//! Values of plain types from text.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};
use sluice_schema::types::Kind;

/// Bytes of a value that an error repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// A value for an error: in backticks, shortened if long.
pub fn shown(text: &str) -> String {
    let dots = if text.chars().nth(SHOWN_CHARS_MAX).is_some() { "…" } else { "" };
    let head: String = text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    format!("`{head}{dots}`")
}

/// The sentence of a value that is not of a type.
pub fn unfit(text: &str, kind: &Kind) -> String {
    format!("{} is no {kind}", shown(text))
}

pub fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(unfit(text, &Kind::Boolean)),
    }
}

pub fn integer<T: TryFrom<i64>>(text: &str, kind: &Kind) -> Result<T, String> {
    let whole = text.parse::<i64>().ok().and_then(|number| T::try_from(number).ok());
    whole.ok_or_else(|| unfit(text, kind))
}

/// A float; words such as `NaN` are taken in the spelling that is written, overflow to infinity is not.
pub fn float<T: std::str::FromStr + Into<f64> + Copy>(text: &str, kind: &Kind) -> Result<T, String> {
    let number: T = text.parse().map_err(|_| unfit(text, kind))?;
    let words = ["NaN", "Infinity", "-Infinity"];
    if !number.into().is_finite() && !words.contains(&text) {
        return Err(unfit(text, kind));
    }
    Ok(number)
}

/// The unscaled value of a decimal; digits that do not fit are refused, not rounded. An exponent is allowed.
pub fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, String> {
    let kind = Kind::Decimal { precision, scale };
    let malformed = || unfit(text, &kind);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| malformed())?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return Err(malformed());
    }
    // value = all * 10^(exponent - fraction digits); unscaled = value * 10^scale
    let shift = i64::from(exponent) - fraction.len() as i64 + i64::from(scale);
    let mut all = all.trim_start_matches('0').to_string();
    if all.is_empty() {
        return Ok(0);
    }
    if shift >= 0 {
        if all.len() as i64 + shift > i64::from(precision) {
            return Err(format!("{} has more digits than {kind} holds", shown(text)));
        }
        all.extend(std::iter::repeat_n('0', shift as usize));
    } else {
        let dropped = usize::try_from(-shift).unwrap_or(usize::MAX);
        let tail = all.len().saturating_sub(dropped);
        if dropped > all.len() || all[tail..].bytes().any(|b| b != b'0') {
            return Err(format!("{} has more digits after the point than {kind} holds", shown(text)));
        }
        all.truncate(tail);
    }
    if all.len() > usize::from(precision) {
        return Err(format!("{} has more digits than {kind} holds", shown(text)));
    }
    let unscaled: i128 = if all.is_empty() { 0 } else { all.parse().map_err(|_| malformed())? };
    Ok(if negative { -unscaled } else { unscaled })
}

/// Text of CHAR (padded) and VARCHAR.
pub fn characters(text: &str, kind: &Kind) -> Result<String, String> {
    let (length, padded) = match kind {
        Kind::Char(length) => (*length as usize, true),
        Kind::VarChar(length) => (*length as usize, false),
        _ => (usize::MAX, false),
    };
    let given = text.chars().count();
    if given > length {
        return Err(format!("{} has {given} characters, {kind} holds {length}", shown(text)));
    }
    let padding = if padded { length - given } else { 0 };
    Ok(text.chars().chain(std::iter::repeat_n(' ', padding)).collect())
}

/// Base64 of BINARY (padded) and VARBINARY.
pub fn bytes(text: &str, kind: &Kind) -> Result<Vec<u8>, String> {
    let mut bytes = STANDARD.decode(text).map_err(|_| format!("{} is no base64", shown(text)))?;
    let (length, padded) = match kind {
        Kind::Binary(length) => (*length as usize, true),
        Kind::VarBinary(length) => (*length as usize, false),
        _ => (usize::MAX, false),
    };
    if bytes.len() > length {
        return Err(format!("{} has {} bytes, {kind} holds {length}", shown(text), bytes.len()));
    }
    if padded {
        bytes.resize(length, 0);
    }
    Ok(bytes)
}

/// Days since 1970-01-01.
pub fn date(text: &str) -> Result<i32, String> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map_err(|_| format!("{} is no DATE such as 2013-01-31", shown(text)))?;
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).map_err(|_| unfit(text, &Kind::Date))
}

/// Milliseconds since midnight.
pub fn time(text: &str, precision: u8) -> Result<i32, String> {
    let kind = Kind::Time(precision);
    let time = clock(text).ok_or_else(|| format!("{} is no {kind} such as 17:05:09", shown(text)))?;
    let nanos = time.nanosecond();
    fits_precision(text, nanos, precision.min(3), &kind)?;
    Ok((time.num_seconds_from_midnight() * 1000 + nanos / 1_000_000) as i32)
}

/// A timestamp in the unit of its precision: ms, us or ns.
pub fn timestamp(text: &str, precision: u8) -> Result<i64, String> {
    let kind = Kind::Timestamp(precision);
    let malformed = || format!("{} is no {kind} such as 2013-01-31T17:05:09", shown(text));
    let (day, clock_text) = text.split_once(['T', ' ']).ok_or_else(malformed)?;
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d").map_err(|_| malformed())?;
    in_unit(text, day.and_time(clock(clock_text).ok_or_else(malformed)?), precision, &kind)
}

/// The same with a zone.
pub fn timestamp_ltz(text: &str, precision: u8) -> Result<i64, String> {
    let kind = Kind::TimestampLtz(precision);
    let malformed = || format!("{} is no {kind} such as 2013-01-31T17:05:09Z", shown(text));
    let zoned = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1)).map_err(|_| malformed())?;
    in_unit(text, zoned.naive_utc(), precision, &kind)
}

/// `HH:MM` or `HH:MM:SS` with digits after the second; no leap seconds.
fn clock(text: &str) -> Option<NaiveTime> {
    let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").or_else(|_| NaiveTime::parse_from_str(text, "%H:%M"));
    time.ok().filter(|time| time.nanosecond() < 1_000_000_000)
}

fn in_unit(text: &str, at: NaiveDateTime, precision: u8, kind: &Kind) -> Result<i64, String> {
    let utc = at.and_utc();
    fits_precision(text, utc.timestamp_subsec_nanos(), precision, kind)?;
    let value = match precision {
        0..=3 => Some(utc.timestamp_millis()),
        4..=6 => Some(utc.timestamp_micros()),
        _ => utc.timestamp_nanos_opt(),
    };
    value.ok_or_else(|| format!("{} is out of the range of {kind} (1677-09-21 to 2262-04-11)", shown(text)))
}

fn fits_precision(text: &str, nanos: u32, digits: u8, kind: &Kind) -> Result<(), String> {
    match nanos.is_multiple_of(10u32.pow(9 - u32::from(digits.min(9)))) {
        true => Ok(()),
        false => Err(format!("{} has more digits of a second than {kind} holds", shown(text))),
    }
}
