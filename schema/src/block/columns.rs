//! The columns of a block against the schema: walks fields, nodes and buffers side by side.

use super::{BlockError, Depth, Present, frame::ALIGNMENT, frame::Frame, values};
use crate::{
    limits::{EVENT_BYTES_MAX, TYPE_LENGTH_MAX},
    types::{DataType, Kind},
};
use values::{Bits, Offsets};

/// A broken rule, and the way to its column, innermost first.
pub(super) struct Fault {
    why: String,
    path: Vec<String>,
}

impl Fault {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), path: Vec::new() }
    }

    fn within(mut self, name: &str) -> Self {
        self.path.push(name.to_string());
        self
    }
}

type Checked<T> = Result<T, Fault>;

/// Checks all columns and that nothing is left over.
pub(super) fn check(frame: &Frame<'_>, present: &Present<'_>, depth: Depth) -> Result<(), BlockError> {
    let mut walk = Walk { body: frame.body, nodes: frame.nodes.iter(), buffers: frame.buffers.iter(), end: 0, depth };
    // At most BLOCK_ROWS_MAX and checked against the header.
    let rows = frame.batch.length() as usize;
    for index in present.indices() {
        let field = &present.schema.fields()[index];
        walk.child(&field.name, &field.data_type, Some(rows), None).map_err(|mut fault| {
            fault.path.reverse();
            BlockError::Column { column: fault.path.join("."), why: fault.why }
        })?;
    }
    if walk.nodes.next().is_some() || walk.buffers.next().is_some() {
        return Err(BlockError::Malformed("it holds more columns than its header and the schema say".into()));
    }
    Ok(())
}

struct Walk<'a> {
    body: &'a [u8],
    nodes: flatbuffers::VectorIter<'a, arrow::ipc::FieldNode>,
    buffers: flatbuffers::VectorIter<'a, arrow::ipc::Buffer>,
    /// Where the last buffer ended.
    end: usize,
    depth: Depth,
}

/// Number of slots of a column and how many of them are null.
#[derive(Clone, Copy)]
struct Node {
    length: usize,
    nulls: usize,
}

impl<'a> Walk<'a> {
    /// Checks the next column. `length` is the one its parent needs; lists leave it open. `parent` is the validity of
    /// the enclosing ROW, where that has nulls: a slot below a null may be null even if the column is NOT NULL.
    /// Returns the column's length.
    fn child(
        &mut self,
        name: &str,
        data_type: &DataType,
        length: Option<usize>,
        parent: Option<Bits<'a>>,
    ) -> Checked<usize> {
        self.next_column(data_type, length, parent).map_err(|fault| fault.within(name))
    }

    fn next_column(&mut self, data_type: &DataType, length: Option<usize>, parent: Option<Bits<'a>>) -> Checked<usize> {
        let node = self.node(length)?;
        let validity = self.validity(node, data_type.nullable, parent)?;
        match &data_type.kind {
            Kind::Boolean => self.buffer_of(node.length.div_ceil(8), "values").map(drop),
            Kind::TinyInt => self.fixed(node, 1).map(drop),
            Kind::SmallInt => self.fixed(node, 2).map(drop),
            Kind::Integer | Kind::Float | Kind::Date => self.fixed(node, 4).map(drop),
            Kind::BigInt | Kind::Double | Kind::Timestamp(_) | Kind::TimestampLtz(_) => self.fixed(node, 8).map(drop),
            Kind::Time(_) => {
                let times = self.fixed(node, 4)?;
                self.if_values(|| values::check_times(times, validity))
            }
            Kind::Decimal { precision, .. } => {
                let decimals = self.fixed(node, 16)?;
                self.if_values(|| values::check_decimals(decimals, *precision, validity))
            }
            Kind::Char(limit) | Kind::VarChar(limit) => self.strings(node, *limit, validity),
            Kind::Binary(limit) | Kind::VarBinary(limit) => self.binaries(node, *limit, validity),
            Kind::Array(item) => {
                let offsets = self.offsets(node)?;
                let items = self.child("item", item, None, None)?;
                self.if_values(|| offsets.check(items).map(drop))
            }
            Kind::Map { key, value } => self.map(node, key, value),
            Kind::Row(fields) => fields
                .iter()
                .try_for_each(|field| self.child(&field.name, &field.data_type, Some(node.length), validity).map(drop)),
        }?;
        Ok(node.length)
    }

    fn map(&mut self, node: Node, key: &DataType, value: &DataType) -> Checked<()> {
        let offsets = self.offsets(node)?;
        let entries = self.node(None)?;
        self.validity(entries, false, None)?;
        self.child("key", key, Some(entries.length), None)?;
        self.child("value", value, Some(entries.length), None)?;
        self.if_values(|| offsets.check(entries.length).map(drop))
    }

    fn strings(&mut self, node: Node, limit: u32, validity: Option<Bits<'a>>) -> Checked<()> {
        let offsets = self.offsets(node)?;
        let data = self.buffer()?;
        if self.depth == Depth::Buffers {
            return Ok(());
        }
        let span = offsets.check(data.len())?;
        values::check_size(span.longest, EVENT_BYTES_MAX)?;
        values::check_utf8(offsets, data, span.range.clone())?;
        if limit < TYPE_LENGTH_MAX && span.longest > limit as usize {
            values::check_characters(offsets, data, limit as usize, validity)?;
        }
        Ok(())
    }

    fn binaries(&mut self, node: Node, limit: u32, validity: Option<Bits<'a>>) -> Checked<()> {
        let offsets = self.offsets(node)?;
        let data = self.buffer()?;
        if self.depth == Depth::Buffers {
            return Ok(());
        }
        let span = offsets.check(data.len())?;
        values::check_size(span.longest, EVENT_BYTES_MAX)?;
        if span.longest > limit as usize {
            values::check_bytes(offsets, limit as usize, validity)?;
        }
        Ok(())
    }

    /// The validity bitmap; `None` where nothing is null.
    fn validity(&mut self, node: Node, nullable: bool, parent: Option<Bits<'a>>) -> Checked<Option<Bits<'a>>> {
        let bitmap = self.buffer()?;
        if bitmap.is_empty() {
            return match node.nulls {
                0 => Ok(None),
                nulls => Err(Fault::new(format!("it says {nulls} nulls but has no validity bitmap"))),
            };
        }
        let bits = Bits::new(bitmap, node.length).ok_or_else(|| too_small("validity bitmap", bitmap.len()))?;
        let nulls = bits.count_zeros();
        if nulls != node.nulls {
            return Err(Fault::new(format!("it says {} nulls but its validity bitmap has {nulls}", node.nulls)));
        }
        if nulls == 0 {
            return Ok(None);
        }
        if !nullable && !parent.is_some_and(|parent| bits.zeros_lie_within(parent)) {
            return Err(Fault::new(format!("it is NOT NULL but holds {nulls} nulls")));
        }
        Ok(Some(bits))
    }

    fn offsets(&mut self, node: Node) -> Checked<Offsets<'a>> {
        let buffer = self.buffer()?;
        // No slots need no offsets.
        let needed = if node.length == 0 && buffer.is_empty() { 0 } else { (node.length + 1) * 4 };
        match buffer.get(..needed) {
            // arrow's decoder panics at a part of an offset.
            Some(offsets) if buffer.len().is_multiple_of(4) => Ok(Offsets::new(offsets)),
            _ => Err(too_small("offsets", buffer.len())),
        }
    }

    fn fixed(&mut self, node: Node, width: usize) -> Checked<&'a [u8]> {
        self.buffer_of(node.length * width, "values")
    }

    /// The next buffer, cut to the bytes needed.
    fn buffer_of(&mut self, needed: usize, what: &str) -> Checked<&'a [u8]> {
        let buffer = self.buffer()?;
        buffer.get(..needed).ok_or_else(|| too_small(what, buffer.len()))
    }

    /// The next buffer: in the body, aligned, after the one before.
    fn buffer(&mut self) -> Checked<&'a [u8]> {
        let buffer = self.buffers.next().ok_or_else(|| Fault::new("its buffers are missing"))?;
        let bounds = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let range = bounds.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        let found = range.clone().filter(|range| range.start >= self.end).and_then(|range| self.body.get(range));
        let (Some(range), Some(found)) = (range, found) else {
            let (offset, length) = (buffer.offset(), buffer.length());
            let why =
                format!("a buffer of {length} bytes at {offset} does not lie in the body after the one before it");
            return Err(Fault::new(why));
        };
        if !range.start.is_multiple_of(ALIGNMENT) {
            return Err(Fault::new(format!("a buffer starts at {}, which is no multiple of 8", range.start)));
        }
        self.end = range.end;
        Ok(found)
    }

    /// The next node; Arrow's 32-bit offsets bound its length.
    fn node(&mut self, needed: Option<usize>) -> Checked<Node> {
        let node = self.nodes.next().ok_or_else(|| Fault::new("it is missing in the block"))?;
        let lengths = i32::try_from(node.length()).ok().zip(i32::try_from(node.null_count()).ok());
        let (length, nulls) = match lengths {
            Some((length, nulls)) if 0 <= nulls && nulls <= length && length < i32::MAX => (length, nulls),
            _ => {
                let why = format!("{} values with {} nulls are impossible", node.length(), node.null_count());
                return Err(Fault::new(why));
            }
        };
        let node = Node { length: length as usize, nulls: nulls as usize };
        match needed {
            Some(needed) if needed != node.length => {
                Err(Fault::new(format!("it has {} values, {needed} are needed", node.length)))
            }
            _ => Ok(node),
        }
    }

    fn if_values(&self, check: impl FnOnce() -> Checked<()>) -> Checked<()> {
        match self.depth {
            Depth::Buffers => Ok(()),
            Depth::Values => check(),
        }
    }
}

fn too_small(what: &str, bytes: usize) -> Fault {
    Fault::new(format!("its {what} do not fit their buffer of {bytes} bytes"))
}
