//! What goes in comes out: all types, bit for bit, at any address, in slices, with columns left out.

use arrow::{
    array::{AsArray as _, Float64Array, StringArray},
    datatypes::Float64Type,
};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    limits::TYPE_LENGTH_MAX,
    testing::{Random, any_schema, batch},
};

proptest! {
    #[test]
    fn all_types_round_trip(schema in any_schema(), rows in 1usize..50, seed: u64) {
        let batch = batch(&schema, rows, seed);
        let block = encode(&schema, &batch).unwrap();
        prop_assert_eq!(check_block(&schema, &block), Ok(()));
        let back = decode(&schema, &block.columns, block.rows, block.data.clone()).unwrap();
        prop_assert_eq!(&back, &batch);
        // Bit for bit: equal rows make equal bytes.
        prop_assert_eq!(encode(&schema, &back).unwrap(), block);
    }

    #[test]
    fn memory_at_any_address_decodes_alike(schema in any_schema(), rows in 1usize..20, seed: u64, shift in 0usize..16) {
        let block = encode(&schema, &batch(&schema, rows, seed)).unwrap();
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(&block.data);
        let data = Bytes::from(shifted).slice(shift..);
        prop_assert_eq!(validate(&schema, &block.columns, block.rows, crc(&data), &data), Ok(()));
        let there = decode(&schema, &block.columns, block.rows, data).unwrap();
        prop_assert_eq!(there, decode(&schema, &block.columns, block.rows, block.data).unwrap());
    }

    #[test]
    fn slices_hold_their_rows(schema in any_schema(), rows in 1u32..40, seed: u64, from in 0u32..40, length in 1u32..40) {
        let batch = batch(&schema, rows as usize, seed);
        let block = encode(&schema, &batch).unwrap();
        let result = slice(&schema, &block.columns, block.rows, block.data, from..from + length);
        if from >= rows {
            prop_assert!(result.is_err());
        } else {
            let part = result.unwrap();
            let expected = length.min(rows - from);
            prop_assert_eq!(part.rows, expected);
            prop_assert_eq!(check_block(&schema, &part), Ok(()));
            let back = decode(&schema, &part.columns, part.rows, part.data).unwrap();
            prop_assert_eq!(back, batch.slice(from as usize, expected as usize));
        }
    }

    /// Random bytes over a good block: what the check accepts, the decoder accepts; nothing panics.
    #[test]
    fn accepted_means_decodable(schema in any_schema(), rows in 1usize..20, seed: u64, changes in 1usize..4) {
        let block = encode(&schema, &batch(&schema, rows, seed)).unwrap();
        let mut random = Random(seed ^ 0x5a5a);
        for _ in 0..20 {
            let mut data = block.data.to_vec();
            let body = frame::parse(&block.data).unwrap().body_start;
            for _ in 0..changes {
                // Half of them in the metadata, which is short.
                let end = if random.below(2) == 0 { body } else { data.len() };
                let at = random.below(end as u64) as usize;
                data[at] = [0, 1, 0x7f, 0x80, 0xff, random.next() as u8][random.below(6) as usize];
            }
            accepted_decodes(&schema, &block, data)?;
        }
    }
}

fn accepted_decodes(schema: &Schema, block: &Encoded, data: Vec<u8>) -> Result<(), TestCaseError> {
    let accepted = validate(schema, &block.columns, block.rows, crc(&data), &data).is_ok();
    let decoded = decode(schema, &block.columns, block.rows, data.into());
    prop_assert!(!accepted || decoded.is_ok(), "accepted, but: {}", decoded.unwrap_err());
    Ok(())
}

#[test]
fn nan_payloads_and_negative_zero_survive() {
    let schema = schema_of(Kind::Double, true);
    let bits = [0x8000_0000_0000_0000, 0x7ff8_0000_dead_beef, 0xfff0_0000_0000_0001, f64::INFINITY.to_bits(), 1];
    let column = Float64Array::from_iter_values(bits.iter().map(|bits| f64::from_bits(*bits)));
    let block = unchecked(&schema, Arc::new(column));
    let back = decode(&schema, &[], 5, block.data).unwrap();
    let back = back.column(0).as_primitive::<Float64Type>();
    assert_eq!(back.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>(), bits);
}

#[test]
fn left_out_columns_come_back_as_nulls_of_every_type() {
    proptest!(|(schema in any_schema(), rows in 1usize..30, seed: u64)| {
        // The same columns, all nullable, behind one that is there.
        let mut fields = vec![Field::new("there", DataType::required(Kind::Integer))];
        fields.extend(schema.fields().iter().cloned().map(|mut field| {
            field.data_type.nullable = true;
            field
        }));
        let schema = Schema::new(fields).unwrap();
        let narrow = Schema::new(schema.fields()[..1].to_vec()).unwrap();
        let block = encode(&narrow, &batch(&narrow, rows, seed)).unwrap();
        prop_assert_eq!(validate(&schema, &[0], block.rows, crc(&block.data), &block.data), Ok(()));
        let wide = decode(&schema, &[0], block.rows, block.data.clone()).unwrap();
        prop_assert!(wide.columns()[1..].iter().all(|column| column.null_count() == rows));
        prop_assert_eq!(wide.schema(), schema.to_arrow());
        // And leaving them out is what encode does.
        let again = encode(&schema, &wide).unwrap();
        prop_assert_eq!((again.columns, again.data), (vec![0], block.data));
    });
}

#[test]
fn a_block_of_nothing_but_nulls_keeps_one_column() {
    let schema = string_type(TYPE_LENGTH_MAX);
    let column = Arc::new(StringArray::from(vec![None::<&str>; 4]));
    let block = unchecked(&schema, column);
    assert!(block.columns.is_empty());
    assert_eq!(decode(&schema, &block.columns, 4, block.data).unwrap().column(0).null_count(), 4);
}
