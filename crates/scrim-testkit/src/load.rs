//! Arrow batches as what real servers hold: a table of PostgreSQL, or the bytes of a file.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, SchemaRef, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use bytes::{BufMut as _, BytesMut};
use futures::SinkExt as _;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tokio_postgres::Client;

/// Bytes that are sent at once.
const CHUNK: usize = 1 << 20;
/// What `COPY … (FORMAT binary)` begins with: a signature, no flags, no extension.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// From 1970 to 2000, where PostgreSQL starts to count.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// The type that a column has in PostgreSQL. The first and the last value of dates and timestamps
/// become its infinities.
///
/// # Panics
/// For structs and other types that PostgreSQL does not have.
pub fn declaration(data_type: &DataType) -> String {
    match data_type {
        DataType::Decimal128(precision, scale) => format!("numeric({precision}, {scale})"),
        DataType::UInt64 => "numeric(20, 0)".to_owned(),
        DataType::List(item) => format!("{}[]", declaration(item.data_type())),
        other => scalar(other).0.to_owned(),
    }
}

/// Name and number of a type in PostgreSQL's catalogue.
fn scalar(data_type: &DataType) -> (&'static str, u32) {
    match data_type {
        DataType::Boolean => ("boolean", 16),
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => ("smallint", 21),
        DataType::UInt16 | DataType::Int32 => ("integer", 23),
        DataType::UInt32 | DataType::Int64 => ("bigint", 20),
        DataType::UInt64 | DataType::Decimal128(..) => ("numeric", 1700),
        DataType::Float32 => ("real", 700),
        DataType::Float64 => ("double precision", 701),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ("text", 25),
        DataType::Dictionary(_, values) => scalar(values),
        DataType::Binary => ("bytea", 17),
        DataType::Date32 => ("date", 1082),
        DataType::Time64(TimeUnit::Microsecond) => ("time", 1083),
        DataType::Timestamp(TimeUnit::Microsecond, None) => ("timestamp", 1114),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => ("timestamptz", 1184),
        other => panic!("PostgreSQL has no type for {other}"),
    }
}

/// Makes a table of batches.
pub(crate) async fn into_postgres(
    client: &Client,
    table: &str,
    batches: &[RecordBatch],
) -> Result<(), tokio_postgres::Error> {
    let schema = schema(batches);
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| {
            let name = field.name().replace('"', "\"\"");
            let null = if field.is_nullable() { "" } else { " NOT NULL" };
            format!("\"{name}\" {}{null}", declaration(field.data_type()))
        })
        .collect();
    let create = format!("CREATE TABLE {table} ({})", columns.join(", "));
    client.batch_execute(&create).await?;
    let copy = format!("COPY {table} FROM STDIN (FORMAT binary)");
    let sink = client.copy_in(&copy).await?;
    futures::pin_mut!(sink);
    let mut out = BytesMut::from(SIGNATURE);
    for batch in batches {
        let columns: Vec<ArrayRef> = batch.columns().iter().map(plain).collect();
        for row in 0..batch.num_rows() {
            out.put_u16(columns.len() as u16);
            for column in &columns {
                put(&mut out, column.as_ref(), row);
            }
            if out.len() >= CHUNK {
                sink.send(out.split().freeze()).await?;
            }
        }
    }
    out.put_i16(-1);
    sink.send(out.freeze()).await?;
    sink.finish().await?;
    client.batch_execute(&format!("ANALYZE {table}")).await
}

fn schema(batches: &[RecordBatch]) -> SchemaRef {
    let first = batches.first();
    first
        .expect("an empty batch at least, which says what the columns are")
        .schema()
}

/// A dictionary as its values.
fn plain(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Dictionary(_, values) => {
            arrow::compute::cast(column, values).expect("a dictionary can be unpacked")
        }
        _ => column.clone(),
    }
}

/// One value with its length before it.
fn put(out: &mut BytesMut, column: &dyn Array, row: usize) {
    if column.is_null(row) {
        out.put_i32(-1);
        return;
    }
    let length_at = out.len();
    out.put_i32(0);
    match column.data_type() {
        DataType::Boolean => out.put_u8(column.as_boolean().value(row).into()),
        DataType::Int8 => out.put_i16(column.as_primitive::<Int8Type>().value(row).into()),
        DataType::UInt8 => out.put_i16(column.as_primitive::<UInt8Type>().value(row).into()),
        DataType::Int16 => out.put_i16(column.as_primitive::<Int16Type>().value(row)),
        DataType::UInt16 => out.put_i32(column.as_primitive::<UInt16Type>().value(row).into()),
        DataType::Int32 => out.put_i32(column.as_primitive::<Int32Type>().value(row)),
        DataType::UInt32 => out.put_i64(column.as_primitive::<UInt32Type>().value(row).into()),
        DataType::Int64 => out.put_i64(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => {
            let value = column.as_primitive::<UInt64Type>().value(row);
            put_numeric(out, value.into(), 0);
        }
        DataType::Decimal128(_, scale) => {
            let value = column.as_primitive::<Decimal128Type>().value(row);
            put_numeric(out, value, usize::from(scale.unsigned_abs()));
        }
        DataType::Float32 => out.put_f32(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => out.put_f64(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => out.put_slice(column.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => out.put_slice(column.as_string::<i64>().value(row).as_bytes()),
        DataType::Utf8View => out.put_slice(column.as_string_view().value(row).as_bytes()),
        DataType::Binary => out.put_slice(column.as_binary::<i32>().value(row)),
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>().value(row);
            out.put_i32(match days {
                i32::MIN | i32::MAX => days,
                _ => days
                    .checked_sub(EPOCH_DAYS)
                    .expect("PostgreSQL has the day"),
            });
        }
        DataType::Time64(_) => {
            out.put_i64(column.as_primitive::<Time64MicrosecondType>().value(row));
        }
        DataType::Timestamp(..) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            out.put_i64(match micros {
                i64::MIN | i64::MAX => micros,
                _ => {
                    let since = micros.checked_sub(EPOCH_MICROS);
                    since.expect("PostgreSQL has the instant")
                }
            });
        }
        DataType::List(item) => {
            let values = plain(&column.as_list::<i32>().value(row));
            put_array(out, &values, scalar(item.data_type()).1);
        }
        other => panic!("PostgreSQL has no type for {other}"),
    }
    let length = (out.len() - length_at - 4) as u32;
    if let Some(place) = out.get_mut(length_at..length_at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// An array of one dimension, or of none when it is empty.
fn put_array(out: &mut BytesMut, values: &ArrayRef, element: u32) {
    out.put_i32(i32::from(!values.is_empty()));
    out.put_i32(i32::from(values.null_count() > 0));
    out.put_u32(element);
    if values.is_empty() {
        return;
    }
    out.put_i32(values.len() as i32);
    out.put_i32(1);
    for row in 0..values.len() {
        put(out, values, row);
    }
}

/// A number of groups of four digits, the way PostgreSQL keeps it.
fn put_numeric(out: &mut BytesMut, value: i128, scale: usize) {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let whole = format!("{whole:0>width$}", width = whole.len().next_multiple_of(4));
    let fraction = format!(
        "{fraction:0<width$}",
        width = fraction.len().next_multiple_of(4)
    );
    let weight = (whole.len() / 4) as i16 - 1;
    let all = whole + &fraction;
    let groups: Vec<u16> = all
        .as_bytes()
        .chunks(4)
        .map(|group| {
            group
                .iter()
                .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
        })
        .collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let trailing = groups
        .iter()
        .skip(leading)
        .rev()
        .take_while(|group| **group == 0)
        .count();
    let kept = groups.len() - leading - trailing;
    out.put_u16(kept as u16);
    out.put_i16(if kept == 0 {
        0
    } else {
        weight - leading as i16
    });
    out.put_u16(if value < 0 { 0x4000 } else { 0 });
    out.put_u16(scale as u16);
    for group in groups.into_iter().skip(leading).take(kept) {
        out.put_u16(group);
    }
}

/// A Parquet file with a row group for each batch.
///
/// # Panics
/// If there is a type that Parquet does not have.
pub fn parquet(batches: &[RecordBatch]) -> Vec<u8> {
    parquet_with(batches, WriterProperties::default())
}

/// A Parquet file with a row group for each batch, written as the properties say.
///
/// # Panics
/// If there is a type that Parquet does not have.
pub fn parquet_with(batches: &[RecordBatch], properties: WriterProperties) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, schema(batches), Some(properties))
        .expect("Parquet has the types");
    for batch in batches {
        writer.write(batch).expect("memory can be written to");
        writer.flush().expect("memory can be written to");
    }
    writer.close().expect("memory can be written to");
    out
}

/// CSV with a header line.
///
/// # Panics
/// If there is a nested column.
pub fn csv(batches: &[RecordBatch]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = arrow::csv::Writer::new(&mut out);
    for batch in batches {
        writer.write(batch).expect("CSV has the types");
    }
    drop(writer);
    out
}

/// One JSON object in each line.
///
/// # Panics
/// If there is a type that JSON is not written for.
pub fn json_lines(batches: &[RecordBatch]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut out);
    for batch in batches {
        writer.write(batch).expect("JSON has the types");
    }
    writer.finish().expect("memory can be written to");
    out
}

/// An Arrow IPC file.
///
/// # Panics
/// Never: memory can be written to.
pub fn arrow_file(batches: &[RecordBatch]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer =
        FileWriter::try_new(&mut out, &schema(batches)).expect("memory can be written to");
    for batch in batches {
        writer.write(batch).expect("memory can be written to");
    }
    writer.finish().expect("memory can be written to");
    drop(writer);
    out
}

/// An Arrow IPC stream.
///
/// # Panics
/// Never: memory can be written to.
pub fn arrow_stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer =
        StreamWriter::try_new(&mut out, &schema(batches)).expect("memory can be written to");
    for batch in batches {
        writer.write(batch).expect("memory can be written to");
    }
    writer.finish().expect("memory can be written to");
    drop(writer);
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
        ListArray, StringArray, TimestampMicrosecondArray, UInt64Array,
    };
    use arrow::datatypes::Int32Type;

    use super::*;
    use crate::postgres::Postgres;

    /// Columns of four rows.
    fn strange() -> RecordBatch {
        let numeric = Decimal128Array::from_iter_values([-1_234_567_805, 0, 5, 100_000_000])
            .with_precision_and_scale(38, 4)
            .unwrap();
        let long = Decimal128Array::from_iter_values([i128::from(i64::MAX) * 10_i128.pow(18); 4])
            .with_precision_and_scale(38, 0)
            .unwrap();
        let texts = [Some("é\n\t\\"), Some(""), None, Some("x")];
        let kinds = [Some("a"), None, Some("b"), Some("a")];
        let floats = vec![-0.0, f64::NAN, f64::INFINITY, 1e-300];
        let instants = vec![0, 1, -1, 946_684_800_000_000];
        let tags = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            Some(vec![]),
            None,
            Some(vec![Some(-7)]),
        ]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "Id \"x\"",
                Arc::new(Int64Array::from(vec![1, 2, i64::MIN, i64::MAX])),
            ),
            (
                "flag",
                Arc::new(BooleanArray::from(vec![
                    Some(true),
                    None,
                    Some(false),
                    None,
                ])),
            ),
            ("n", Arc::new(numeric)),
            ("long", Arc::new(long)),
            (
                "u",
                Arc::new(UInt64Array::from(vec![0, 10_000, u64::MAX, 7])),
            ),
            ("f", Arc::new(Float64Array::from(floats))),
            ("t", Arc::new(StringArray::from(texts.to_vec()))),
            (
                "k",
                Arc::new(DictionaryArray::<Int32Type>::from_iter(kinds)),
            ),
            (
                "d",
                Arc::new(Date32Array::from(vec![0, -719_162, i32::MAX, i32::MIN])),
            ),
            ("at", Arc::new(TimestampMicrosecondArray::from(instants))),
            ("tags", Arc::new(tags)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    /// What PostgreSQL shows of each column is what was meant.
    #[test]
    fn postgres_understands_what_is_loaded() {
        let database = Postgres::shared().database();
        database.load("public.t", &[strange()]);
        let long = "9223372036854775807000000000000000000";
        for (column, expected) in [
            (
                "\"Id \"\"x\"\"\"",
                "1 | 2 | -9223372036854775808 | 9223372036854775807",
            ),
            ("flag", "true | NULL | false | NULL"),
            ("n", "-123456.7805 | 0.0000 | 0.0005 | 10000.0000"),
            ("long", &[long; 4].join(" | ")),
            ("u", "0 | 10000 | 18446744073709551615 | 7"),
            ("f", "-0 | NaN | Infinity | 1e-300"),
            ("t", "é\n\t\\ |  | NULL | x"),
            ("k", "a | NULL | b | a"),
            ("d", "1970-01-01 | 0001-01-01 | infinity | -infinity"),
            (
                "at",
                "1970-01-01 00:00:00 | 1970-01-01 00:00:00.000001 | 1969-12-31 23:59:59.999999 | \
                 2000-01-01 00:00:00",
            ),
            ("tags", "{1,NULL} | {} | NULL | {-7}"),
        ] {
            let sql = format!(
                "SELECT string_agg(coalesce({column}::text, 'NULL'), ' | ' ORDER BY ctid) FROM t"
            );
            assert_eq!(database.value(&sql).as_deref(), Some(expected), "{column}");
        }
    }
}
