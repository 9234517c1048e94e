//! The first difference between two schemas, said so that a person can act on it.

use super::{Field, text::quoted};

pub(super) fn first_difference(given: &[Field], expected: &[Field]) -> Option<String> {
    for (i, (given, expected)) in given.iter().zip(expected).enumerate() {
        let number = i + 1;
        if given.name != expected.name {
            let (given, expected) = (quoted(&given.name), quoted(&expected.name));
            return Some(format!("column {number} is {given}, the stream has {expected} there"));
        }
        if given.data_type != expected.data_type {
            let name = quoted(&given.name);
            let (given, expected) = (&given.data_type, &expected.data_type);
            return Some(format!("column {number} {name} is {given}, the stream has {expected}"));
        }
    }
    if let Some(extra) = given.get(expected.len()) {
        let number = expected.len() + 1;
        return Some(format!(
            "column {number} {} is not in the stream, which has {}",
            quoted(&extra.name),
            expected.len()
        ));
    }
    let missing = expected.get(given.len())?;
    let number = given.len() + 1;
    Some(format!("column {number} {} of the stream is missing", quoted(&missing.name)))
}
