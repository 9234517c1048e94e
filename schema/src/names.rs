//! Names that people give: scopes, streams, sinks, reader groups, writers.
//!
//! One rule for all: `[a-z0-9][a-z0-9._-]{0,127}`. A [`Name`] that exists is valid, so names are safe as path
//! elements and as parts of keys, and nobody checks twice.

use std::{fmt, str::FromStr, sync::Arc};

use sluice_proto::gateway::v1 as wire;

use crate::limits::NAME_BYTES_MAX;

/// How much of a refused name an error repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// A text that is not a name; say it to whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{given}` is not valid: {why}")]
pub struct InvalidName {
    /// What was to be named, for example `stream name`.
    pub what: &'static str,
    /// The text, shortened if long.
    pub given: String,
    /// What is wrong with it and what is allowed.
    pub why: String,
}

impl InvalidName {
    fn new(what: &'static str, given: &str, why: impl Into<String>) -> Self {
        let mut shown: String = given.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
        if given.chars().nth(SHOWN_CHARS_MAX).is_some() {
            shown.push('…');
        }
        Self { what, given: shown, why: why.into() }
    }
}

/// A valid name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// The name of a scope.
pub type ScopeName = Name;

impl Name {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        Self::parse_as("name", text)
    }

    /// Checks a name; `what` says in the error what was to be named, for example `writer name`.
    pub fn parse_as(what: &'static str, text: &str) -> Result<Self, InvalidName> {
        match fault(text) {
            None => Ok(Self(text.into())),
            Some(why) => Err(InvalidName::new(what, text, why)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is wrong with a name; `None`: nothing.
fn fault(text: &str) -> Option<String> {
    let Some(first) = text.chars().next() else {
        return Some("it is empty".into());
    };
    if text.len() > NAME_BYTES_MAX {
        return Some(format!("it is {} bytes long, at most {NAME_BYTES_MAX} are allowed", text.len()));
    }
    if !matches!(first, 'a'..='z' | '0'..='9') {
        return Some("it must start with a-z or 0-9".into());
    }
    let allowed = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
    let bad = text.chars().find(|c| !allowed(c))?;
    Some(format!("{bad:?} is not allowed, only a-z, 0-9, '.', '_' and '-' are"))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::parse(text)
    }
}

/// A name inside a scope: one type per kind, so that a sink is never taken for a stream.
macro_rules! scoped_name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $wire:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type {
            /// The scope.
            pub scope: ScopeName,
            /// The name in it.
            pub name: Name,
        }

        impl $type {
            /// Joins two checked names.
            pub fn new(scope: ScopeName, name: Name) -> Self {
                Self { scope, name }
            }

            /// Checks both parts.
            pub fn parse_parts(scope: &str, name: &str) -> Result<Self, InvalidName> {
                let scope = Name::parse_as("scope name", scope)?;
                Ok(Self { scope, name: Name::parse_as(concat!($what, " name"), name)? })
            }

            /// Reads the form that `Display` writes: `scope/name`.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                let Some((scope, name)) = text.split_once('/') else {
                    let why = concat!("write it as scope/", $what);
                    return Err(InvalidName::new($what, text, why));
                };
                Self::parse_parts(scope, name)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.scope, self.name)
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::parse(text)
            }
        }

        impl TryFrom<&$wire> for $type {
            type Error = InvalidName;
            fn try_from(wire: &$wire) -> Result<Self, InvalidName> {
                Self::parse_parts(&wire.scope, &wire.name)
            }
        }

        impl TryFrom<$wire> for $type {
            type Error = InvalidName;
            fn try_from(wire: $wire) -> Result<Self, InvalidName> {
                Self::try_from(&wire)
            }
        }

        impl TryFrom<Option<$wire>> for $type {
            type Error = InvalidName;
            fn try_from(wire: Option<$wire>) -> Result<Self, InvalidName> {
                let missing = || InvalidName::new($what, "", concat!("the request must name a ", $what));
                Self::try_from(&wire.ok_or_else(missing)?)
            }
        }

        impl From<&$type> for $wire {
            fn from(name: &$type) -> Self {
                Self { scope: name.scope.to_string(), name: name.name.to_string() }
            }
        }

        impl From<$type> for $wire {
            fn from(name: $type) -> Self {
                Self::from(&name)
            }
        }
    };
}

scoped_name!(
    /// Names a stream.
    StreamName,
    "stream",
    wire::StreamName
);
scoped_name!(
    /// Names a sink: the durable identity of an exactly-once writer job.
    SinkName,
    "sink",
    wire::SinkName
);
scoped_name!(
    /// Names a reader group.
    GroupName,
    "reader group",
    wire::GroupName
);

#[cfg(test)]
mod tests {
    //! The rule at its edges, the sentences of refusals, the way to the wire and back.
    use super::*;

    #[test]
    fn the_rule_at_its_edges() {
        let longest = "a".repeat(NAME_BYTES_MAX);
        for good in ["a", "0", "a.b_c-d", "9..", longest.as_str()] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        let too_long = "a".repeat(NAME_BYTES_MAX + 1);
        for bad in ["", ".a", "-", "_x", "A", "aB", "a b", "a/b", "a\0", "ä", "aä", "..", too_long.as_str()] {
            assert!(Name::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_refusal_is_one_sentence_with_what_and_why() {
        let error = StreamName::parse("nyc/Flights").unwrap_err();
        assert_eq!(error.to_string(), "stream name `Flights` is not valid: it must start with a-z or 0-9");
        let error = Name::parse("a\nb").unwrap_err();
        assert_eq!(
            error.to_string(),
            "name `a\\nb` is not valid: '\\n' is not allowed, only a-z, 0-9, '.', '_' and '-' are"
        );
        let error = StreamName::parse("flights").unwrap_err();
        assert_eq!(error.to_string(), "stream `flights` is not valid: write it as scope/stream");
        let long = Name::parse(&"ü".repeat(100_000)).unwrap_err().to_string();
        assert!(long.len() < 300, "{long}");
        assert!(StreamName::try_from(None).unwrap_err().to_string().contains("must name a stream"));
    }

    #[test]
    fn scoped_names_round_trip_as_text_and_on_the_wire() {
        let name = StreamName::parse("nyc/flights").unwrap();
        assert_eq!(name.to_string().parse::<StreamName>().unwrap(), name);
        assert_eq!(StreamName::try_from(wire::StreamName::from(&name)).unwrap(), name);
        let sink = SinkName::parse_parts("nyc", "job-1").unwrap();
        assert_eq!(SinkName::try_from(Some(wire::SinkName::from(sink.clone()))).unwrap(), sink);
        let group = GroupName::parse("nyc/g").unwrap();
        assert_eq!(GroupName::try_from(&wire::GroupName::from(&group)).unwrap(), group);
        for bad in ["a/b/c", "/b", "a/", "/", ""] {
            assert!(StreamName::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
