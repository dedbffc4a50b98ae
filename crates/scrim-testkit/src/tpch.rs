//! TPC-H's eight tables as Parquet files.

use std::fs::File;
use std::io;
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow,
    RecordBatchIterator, RegionArrow, SupplierArrow,
};

/// Rows of one row group: small enough that several cores share a table, and that a point look-up
/// reads little.
const ROW_GROUP_ROWS: usize = 256 * 1024;
const BATCH_ROWS: usize = 16 * 1024;
/// Rows of one page where rows are looked up by key.
const LOOK_UP_PAGE_ROWS: usize = 1024;

/// The eight tables.
pub const TABLES: [&str; 8] = [
    "region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem",
];

/// The name of the folder of a scale factor, which is also its `environment` in the contracts:
/// `sf1`, `sf0.01`.
pub fn environment(scale: f64) -> String {
    format!("sf{scale}")
}

/// Writes the tables that are not there yet, as `<folder>/<table>.parquet`, in the order that the
/// generator gives: sorted by key, with page indexes.
pub fn write(folder: &Path, scale: f64) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for table in TABLES {
        let path = folder.join(format!("{table}.parquet"));
        if path.exists() {
            continue;
        }
        // a run that is cut short leaves no half table behind
        let partial = folder.join(format!("{table}.parquet.partial"));
        write_table(&partial, rows(table, scale)).map_err(io::Error::other)?;
        std::fs::rename(&partial, &path)?;
    }
    Ok(())
}

fn rows(table: &str, scale: f64) -> Box<dyn Iterator<Item = RecordBatch>> {
    fn boxed<T>(table: T) -> Box<dyn Iterator<Item = RecordBatch>>
    where
        T: RecordBatchIterator + 'static,
    {
        Box::new(table)
    }
    match table {
        "region" => boxed(RegionArrow::new(RegionGenerator::new(scale, 1, 1))),
        "nation" => boxed(NationArrow::new(NationGenerator::new(scale, 1, 1))),
        "supplier" => boxed(
            SupplierArrow::new(SupplierGenerator::new(scale, 1, 1)).with_batch_size(BATCH_ROWS),
        ),
        "customer" => boxed(
            CustomerArrow::new(CustomerGenerator::new(scale, 1, 1)).with_batch_size(BATCH_ROWS),
        ),
        "part" => {
            boxed(PartArrow::new(PartGenerator::new(scale, 1, 1)).with_batch_size(BATCH_ROWS))
        }
        "partsupp" => boxed(
            PartSuppArrow::new(PartSuppGenerator::new(scale, 1, 1)).with_batch_size(BATCH_ROWS),
        ),
        "orders" => {
            boxed(OrderArrow::new(OrderGenerator::new(scale, 1, 1)).with_batch_size(BATCH_ROWS))
        }
        "lineitem" => boxed(
            LineItemArrow::new(LineItemGenerator::new(scale, 1, 1)).with_batch_size(BATCH_ROWS),
        ),
        _ => Box::new(std::iter::empty()),
    }
}

fn write_table(path: &Path, rows: impl Iterator<Item = RecordBatch>) -> Result<(), ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page);
    if path
        .file_stem()
        .is_some_and(|stem| stem == "orders.parquet")
    {
        properties = for_look_ups(properties);
    }
    let properties = properties.build();
    // without Arrow's own schema in the file, a reader is free to choose plain strings: files from
    // other tools look like this
    let options = ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(true);
    let mut rows = rows.peekable();
    let Some(first) = rows.peek() else {
        return Ok(());
    };
    let schema = first.schema();
    let mut writer = ArrowWriter::try_new_with_options(File::create(path)?, schema, options)?;
    for batch in rows {
        writer.write(&batch)?;
    }
    writer.close()?;
    Ok(())
}

/// The layout of a table whose rows are looked up by key: a look-up unpacks one page of each column,
/// and the whole dictionary of each that has one.
fn for_look_ups(mut properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    properties = properties.set_data_page_row_count_limit(LOOK_UP_PAGE_ROWS);
    for nearly_unique in ["o_orderkey", "o_custkey", "o_totalprice", "o_comment"] {
        properties = properties.set_column_dictionary_enabled(nearly_unique.into(), false);
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::{TABLES, environment, write};

    #[test]
    fn all_tables_are_written_once() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 0.001).unwrap();
        write(folder.path(), 0.001).unwrap();
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, TABLES.len());
        assert_eq!(environment(1.0), "sf1");
        assert_eq!(environment(0.01), "sf0.01");
    }
}
