//! Reads column lists as Flink SQL writes them: `carrier STRING NOT NULL, distance INT`.
//!
//! What [`Schema`]'s `Display` writes reads back as the same schema.

use sluice_schema::{
    limits::{SCHEMA_DEPTH_MAX, TYPE_LENGTH_MAX},
    types::{DataType, Field, Kind, Schema},
};

/// Reads a column list.
pub fn parse(text: &str) -> Result<Schema, String> {
    let mut reader = Reader { text, at: 0 };
    let fields = reader.columns(1)?;
    reader.blanks();
    if reader.at < text.len() {
        return Err(reader.expected("`,` or the end"));
    }
    Schema::new(fields).map_err(|e| e.to_string())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn columns(&mut self, depth: usize) -> Result<Vec<Field>, String> {
        let mut fields = Vec::new();
        loop {
            let name = self.name()?;
            let data_type = self.data_type(depth)?;
            fields.push(Field::new(name, data_type));
            if !self.take(',') {
                return Ok(fields);
            }
        }
    }

    /// A column's name: a word, or anything in backticks with a backtick doubled.
    fn name(&mut self) -> Result<String, String> {
        self.blanks();
        if !self.take('`') {
            let name = self.word();
            return if name.is_empty() { Err(self.expected("a column name")) } else { Ok(name.to_string()) };
        }
        let mut name = String::new();
        loop {
            let Some(c) = self.next() else { return Err("a column name lacks its closing backtick".into()) };
            match c {
                '`' if self.peek() == Some('`') => {
                    self.next();
                    name.push('`');
                }
                '`' => return Ok(name),
                c => name.push(c),
            }
        }
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, String> {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(format!("types are nested more than {SCHEMA_DEPTH_MAX} deep"));
        }
        self.blanks();
        let kind = self.kind(depth)?;
        let start = self.at;
        let nullable = match self.keyword().as_str() {
            "NOT" => match self.keyword().as_str() {
                "NULL" => false,
                _ => return Err(self.expected("NULL after NOT")),
            },
            "NULL" => true,
            _ => {
                self.at = start;
                true
            }
        };
        Ok(DataType { kind, nullable })
    }

    fn kind(&mut self, depth: usize) -> Result<Kind, String> {
        let start = self.at;
        let word = self.keyword();
        Ok(match word.as_str() {
            "BOOLEAN" | "BOOL" => Kind::Boolean,
            "TINYINT" => Kind::TinyInt,
            "SMALLINT" => Kind::SmallInt,
            "INT" | "INTEGER" => Kind::Integer,
            "BIGINT" => Kind::BigInt,
            "FLOAT" => Kind::Float,
            "DOUBLE" => {
                self.optional_keyword("PRECISION");
                Kind::Double
            }
            "DECIMAL" | "DEC" | "NUMERIC" => self.decimal()?,
            "CHAR" => Kind::Char(self.parameter(1)?),
            "VARCHAR" => Kind::VarChar(self.parameter(1)?),
            "STRING" => Kind::VarChar(TYPE_LENGTH_MAX),
            "BINARY" => Kind::Binary(self.parameter(1)?),
            "VARBINARY" => Kind::VarBinary(self.parameter(1)?),
            "BYTES" => Kind::VarBinary(TYPE_LENGTH_MAX),
            "DATE" => Kind::Date,
            "TIME" => Kind::Time(self.precision(0)?),
            "TIMESTAMP_LTZ" => Kind::TimestampLtz(self.precision(6)?),
            "TIMESTAMP" => self.timestamp()?,
            "ARRAY" => {
                self.required('<')?;
                let item = self.data_type(depth + 1)?;
                self.required('>')?;
                Kind::Array(Box::new(item))
            }
            "MAP" => {
                self.required('<')?;
                let key = self.data_type(depth + 1)?;
                self.required(',')?;
                let value = self.data_type(depth + 1)?;
                self.required('>')?;
                // Keys are never null, whether or not the text says so.
                let key = DataType { nullable: false, ..key };
                Kind::Map { key: Box::new(key), value: Box::new(value) }
            }
            "ROW" => {
                self.required('<')?;
                let fields = self.columns(depth + 1)?;
                self.required('>')?;
                Kind::Row(fields)
            }
            "" => return Err(self.expected("a type")),
            _ => {
                self.at = start;
                return Err(format!(
                    "`{word}` is no type that Sluice stores: use BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL, CHAR, \
                     VARCHAR, STRING, BINARY, VARBINARY, BYTES, DATE, TIME, TIMESTAMP, TIMESTAMP_LTZ, ARRAY, MAP or ROW"
                ));
            }
        })
    }

    fn decimal(&mut self) -> Result<Kind, String> {
        if !self.take('(') {
            return Ok(Kind::Decimal { precision: 10, scale: 0 });
        }
        let precision = self.number()?;
        let scale = if self.take(',') { self.number()? } else { 0 };
        self.required(')')?;
        Ok(Kind::Decimal { precision: small(precision)?, scale: small(scale)? })
    }

    fn timestamp(&mut self) -> Result<Kind, String> {
        let precision = self.precision(6)?;
        let with = self.optional_keyword("WITH");
        if !with && !self.optional_keyword("WITHOUT") {
            return Ok(Kind::Timestamp(precision));
        }
        let local = with && self.optional_keyword("LOCAL");
        if !(self.optional_keyword("TIME") && self.optional_keyword("ZONE")) {
            return Err(self.expected("TIME ZONE"));
        }
        match (with, local) {
            (false, _) => Ok(Kind::Timestamp(precision)),
            (true, true) => Ok(Kind::TimestampLtz(precision)),
            (true, false) => Err("TIMESTAMP WITH TIME ZONE is not stored: use TIMESTAMP_LTZ".into()),
        }
    }

    /// `(n)`, or the default.
    fn parameter(&mut self, default: u32) -> Result<u32, String> {
        if !self.take('(') {
            return Ok(default);
        }
        let number = self.number()?;
        self.required(')')?;
        Ok(number)
    }

    fn precision(&mut self, default: u32) -> Result<u8, String> {
        small(self.parameter(default)?)
    }

    fn number(&mut self) -> Result<u32, String> {
        self.blanks();
        let rest = &self.text[self.at..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number = rest[..digits].parse().map_err(|_| self.expected("a whole number"))?;
        self.at += digits;
        Ok(number)
    }

    fn keyword(&mut self) -> String {
        self.blanks();
        self.word().to_ascii_uppercase()
    }

    fn optional_keyword(&mut self, wanted: &str) -> bool {
        let start = self.at;
        let found = self.keyword() == wanted;
        if !found {
            self.at = start;
        }
        found
    }

    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn required(&mut self, c: char) -> Result<(), String> {
        if self.take(c) { Ok(()) } else { Err(self.expected(&format!("`{c}`"))) }
    }

    fn take(&mut self, c: char) -> bool {
        self.blanks();
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn expected(&self, what: &str) -> String {
        let rest: String = self.text[self.at..].chars().take(20).collect();
        let place = if rest.is_empty() { "at the end".into() } else { format!("before `{rest}`") };
        format!("{what} is expected {place}")
    }
}

fn small(number: u32) -> Result<u8, String> {
    u8::try_from(number).map_err(|_| format!("precision or scale {number} is too large"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> impl Strategy<Value = Kind> {
        let plain = prop_oneof![
            Just(Kind::Boolean),
            Just(Kind::TinyInt),
            Just(Kind::SmallInt),
            Just(Kind::Integer),
            Just(Kind::BigInt),
            Just(Kind::Float),
            Just(Kind::Double),
            Just(Kind::Date),
            (1u8..=38)
                .prop_flat_map(|p| (Just(p), 0..=p))
                .prop_map(|(precision, scale)| Kind::Decimal { precision, scale }),
            (1..=TYPE_LENGTH_MAX).prop_map(Kind::Char),
            prop_oneof![Just(TYPE_LENGTH_MAX), 1..1000u32].prop_map(Kind::VarChar),
            (1..=TYPE_LENGTH_MAX).prop_map(Kind::Binary),
            prop_oneof![Just(TYPE_LENGTH_MAX), 1..1000u32].prop_map(Kind::VarBinary),
            (0u8..=9).prop_map(Kind::Time),
            (0u8..=9).prop_map(Kind::Timestamp),
            (0u8..=9).prop_map(Kind::TimestampLtz),
        ];
        plain.prop_recursive(3, 20, 4, |inner| {
            let typed = (inner, any::<bool>()).prop_map(|(kind, nullable)| DataType { kind, nullable }).boxed();
            prop_oneof![
                typed.clone().prop_map(|item| Kind::Array(Box::new(item))),
                (typed.clone(), typed.clone()).prop_map(|(key, value)| {
                    let key = DataType { nullable: false, ..key };
                    Kind::Map { key: Box::new(key), value: Box::new(value) }
                }),
                prop::collection::vec(typed, 1..4).prop_map(|types| {
                    let field = |(index, data_type)| Field::new(format!("f `{index}`"), data_type);
                    Kind::Row(types.into_iter().enumerate().map(field).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_display_writes_reads_back(types in prop::collection::vec((kinds(), any::<bool>()), 1..6)) {
            let field = |(index, (kind, nullable))| Field::new(format!("column {index}`"), DataType { kind, nullable });
            let schema = Schema::new(types.into_iter().enumerate().map(field).collect()).unwrap();
            prop_assert_eq!(parse(&schema.to_string()).unwrap(), schema);
        }

        #[test]
        fn no_text_panics(text in "[a-zA-Z<>(),` 0-9ü]{0,60}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn people_write_it_shorter() {
        let schema = parse("carrier string not null,distance INT, t timestamp(3) without time zone, z TIMESTAMP WITH LOCAL TIME ZONE, d DECIMAL")
            .unwrap();
        let expected =
            "`carrier` STRING NOT NULL, `distance` INT, `t` TIMESTAMP(3), `z` TIMESTAMP_LTZ(6), `d` DECIMAL(10, 0)";
        assert_eq!(schema.to_string(), expected);
    }

    #[test]
    fn errors_say_what_is_expected() {
        for (text, part) in [
            ("", "a column name is expected at the end"),
            ("a", "a type is expected at the end"),
            ("a INTERVAL", "`INTERVAL` is no type"),
            ("a INT b INT", "`,` or the end is expected before `b INT`"),
            ("a ARRAY<INT", "`>` is expected at the end"),
            ("a INT NOT", "NULL after NOT"),
            ("`a INT", "closing backtick"),
            ("a DECIMAL(300)", "too large"),
            ("a VARCHAR(x)", "a whole number is expected before `x)`"),
            ("a TIMESTAMP WITH TIME ZONE", "TIMESTAMP_LTZ"),
            ("a INT, a INT", "`a`"),
            ("_x INT", "`_x`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
        let deep = format!("a {}INT{}", "ARRAY<".repeat(100_000), ">".repeat(100_000));
        assert!(parse(&deep).unwrap_err().contains("deep"));
    }
}
