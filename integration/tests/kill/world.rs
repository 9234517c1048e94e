//! The streams under load, how values are written into them, and who records what is done.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use sluice_client::{Client, RetryPolicy};
use sluice_integration::{
    history::{Look, Recorder, Stream, Value, Writer},
    parquet_glob::{self, Files},
};
use sluice_schema::names::StreamName;

pub const SCOPE: &str = "kill";
pub const EVENTS_PER_TRANSACTION: u64 = 200;

pub fn stream_name(name: &str) -> StreamName {
    StreamName::parse(&format!("{SCOPE}/{name}")).unwrap()
}

/// A client that bears a gateway that is often away.
pub fn connect(endpoint: &str) -> anyhow::Result<Client> {
    let retry = RetryPolicy {
        deadline: Duration::from_secs(60),
        max_pause: Duration::from_millis(200),
        ..RetryPolicy::default()
    };
    Ok(Client::with_retry(endpoint, retry)?)
}

/// How the values of a stream are written.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// `n`, of one writer.
    Number(Writer),
    /// `t:i`: event i of transaction t, of one sink.
    Grouped(Writer),
    /// `w:n`: of any writer.
    Signed,
}

/// A stream that is written to.
#[derive(Debug, Clone)]
pub struct Watched {
    pub name: &'static str,
    pub stream: Stream,
    form: Form,
}

impl Watched {
    /// The bytes of a value.
    pub fn encode(&self, value: Value) -> String {
        match self.form {
            Form::Number(_) => value.n.to_string(),
            Form::Grouped(_) => {
                let n = u64::from(value.n);
                format!("{}:{}", n / EVENTS_PER_TRANSACTION, n % EVENTS_PER_TRANSACTION)
            }
            Form::Signed => format!("{}:{}", value.writer.0, value.n),
        }
    }

    /// The value of bytes; those that no writer writes are a foreign one.
    pub fn decode(&self, bytes: &[u8]) -> Value {
        self.known(bytes).unwrap_or_else(|| Value::foreign(bytes))
    }

    fn known(&self, bytes: &[u8]) -> Option<Value> {
        let text = std::str::from_utf8(bytes).ok()?;
        match self.form {
            Form::Number(writer) => Some(Value { writer, n: number(text)? }),
            Form::Grouped(writer) => {
                let (transaction, event) = text.split_once(':')?;
                let (transaction, event) = (u64::from(number(transaction)?), u64::from(number(event)?));
                let n = transaction * EVENTS_PER_TRANSACTION + event;
                (event < EVENTS_PER_TRANSACTION).then_some(Value { writer, n: u32::try_from(n).ok()? })
            }
            Form::Signed => {
                let (writer, n) = text.split_once(':')?;
                Some(Value { writer: Writer(u16::try_from(number(writer)?).ok()?), n: number(n)? })
            }
        }
    }
}

/// A decimal number as `to_string` writes it: no two texts are one number.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

#[test]
fn values_are_read_as_they_are_written_and_nothing_else_is_one() {
    let world = World::new();
    for (name, writer, texts) in [
        ("plain", "writer-1", ["0", "71", "4294967295"]),
        ("left", "kill/sink", ["0:0", "3:199", "20000:7"]),
        ("mixed", "kill/sink", ["1:0", "1:17", "1:4294967295"]),
    ] {
        let (watched, writer) = (world.stream(name), world.recorder.writer(writer));
        for text in texts {
            let value = watched.decode(text.as_bytes());
            assert_eq!((value.writer, watched.encode(value).as_str()), (writer, text));
        }
        for text in
            ["", ":", "x", "-1", "01", "+1", "1:01", "01:1", "1:+1", "1:x", "1:2:3", "4294967296", "1:4294967296"]
        {
            assert_eq!(watched.decode(text.as_bytes()), Value::foreign(text.as_bytes()), "{text:?} in {name}");
        }
    }
}

/// What all tasks share.
#[derive(Debug, Clone)]
pub struct World {
    pub recorder: Recorder,
    streams: Vec<Watched>,
}

impl World {
    pub fn new() -> Self {
        let recorder = Recorder::default();
        let (plain, sink) = (recorder.writer("writer-1"), recorder.writer("kill/sink"));
        let forms = [
            ("plain", Form::Number(plain)),
            ("left", Form::Grouped(sink)),
            ("right", Form::Grouped(sink)),
            ("mixed", Form::Signed),
            ("other", Form::Signed),
        ];
        let watched = |(name, form)| Watched { name, stream: recorder.stream(name), form };
        let streams = forms.into_iter().map(watched).collect();
        Self { recorder, streams }
    }

    pub fn streams(&self) -> &[Watched] {
        &self.streams
    }

    pub fn stream(&self, name: &str) -> &Watched {
        self.streams.iter().find(|watched| watched.name == name).expect("a stream of this test")
    }

    /// Reads what lies under the globs and records it; what is there is dense from offset 0.
    pub fn look(&self, data: &Path, files: &mut [Files], complete: bool) -> anyhow::Result<()> {
        for (watched, files) in self.streams.iter().zip(files) {
            let (ranges, rows) = files.look(data, SCOPE, watched.name, |bytes| watched.decode(bytes))?;
            parquet_glob::check_tiled(&ranges).with_context(|| format!("stream {}", watched.name))?;
            let at = self.recorder.now();
            self.recorder.look(Look { stream: watched.stream, at, files: ranges, rows, complete });
        }
        Ok(())
    }
}

/// A fixed sequence of numbers, so that a run can be repeated as far as its timing can.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next one below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// A pause of at most so many milliseconds.
    pub async fn pause(&mut self, ms_max: u64) {
        tokio::time::sleep(Duration::from_micros(self.below(ms_max * 1000))).await;
    }
}
