//! Data as they lie in files and databases, in layouts that must not show.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use scrim_testkit::postgres::Database;

use super::cell::{Cell, batch};
use super::data::Data;
use super::tables::Table;

/// How the files and tables of one world are laid out.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    files: usize,
    row_group: usize,
    page: usize,
    dictionary: bool,
    statistics: EnabledStatistics,
    compressed: bool,
    bloom: bool,
    /// Columns that hold no NULL say so.
    strict: bool,
}

impl Layout {
    /// One file, one row group, with all statistics.
    pub(crate) fn plain() -> Self {
        Self {
            files: 1,
            row_group: 10_000,
            page: 1_000,
            dictionary: false,
            statistics: EnabledStatistics::Page,
            compressed: false,
            bloom: false,
            strict: false,
        }
    }

    pub(crate) fn random(rng: &mut ChaCha8Rng) -> Self {
        let statistics = [
            EnabledStatistics::None,
            EnabledStatistics::Chunk,
            EnabledStatistics::Page,
        ];
        Self {
            files: rng.random_range(1..5),
            row_group: *[7, 20, 64, 10_000].choose(rng).unwrap(),
            page: *[3, 16, 1_000].choose(rng).unwrap(),
            dictionary: rng.random_bool(0.5),
            statistics: *statistics.choose(rng).unwrap(),
            compressed: rng.random_bool(0.5),
            bloom: rng.random_bool(0.3),
            strict: rng.random_bool(0.5),
        }
    }

    fn properties(&self) -> WriterProperties {
        let compression = if self.compressed {
            Compression::SNAPPY
        } else {
            Compression::UNCOMPRESSED
        };
        WriterProperties::builder()
            .set_max_row_group_row_count(Some(self.row_group))
            .set_data_page_row_count_limit(self.page)
            .set_write_batch_size(self.page)
            .set_dictionary_enabled(self.dictionary)
            .set_statistics_enabled(self.statistics)
            .set_compression(compression)
            .set_bloom_filter_enabled(self.bloom)
            .build()
    }
}

/// One table as the bytes of its files.
pub(crate) fn parquet(data: &Data, table: Table, layout: &Layout) -> Vec<Vec<u8>> {
    let schema = table.schema(data.places.of(table), layout.strict);
    let rows = data.rows(table);
    let chunk = rows.len().div_ceil(layout.files).max(1);
    let mut chunks: Vec<&[Vec<Cell>]> = rows.chunks(chunk).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    let file = |rows: &[Vec<Cell>]| {
        let mut bytes = Vec::new();
        let properties = Some(layout.properties());
        let mut writer = ArrowWriter::try_new(&mut bytes, schema.clone(), properties).unwrap();
        if !rows.is_empty() {
            writer.write(&batch(&schema, rows)).unwrap();
        }
        writer.close().unwrap();
        bytes
    };
    chunks.into_iter().map(file).collect()
}

/// One table in a database; indexes are part of the layout, too.
pub(crate) fn load(data: &Data, table: Table, layout: &Layout, database: &Database) {
    let schema = table.schema(data.places.of(table), layout.strict);
    let name = table.name();
    database.load(name, &[batch(&schema, data.rows(table))]);
    if layout.bloom {
        let key = table.key();
        database.execute(&format!("CREATE INDEX ON {name} ({key})"));
    }
}

/// The look-up table of wards.
pub(crate) fn wards(data: &Data) -> RecordBatch {
    let (partners, wards): (Vec<&str>, Vec<&str>) = data
        .wards
        .iter()
        .map(|(partner, ward)| (partner.as_str(), ward.as_str()))
        .unzip();
    let columns: [(&str, ArrayRef); 2] = [
        ("partner", Arc::new(StringArray::from(partners))),
        ("ward", Arc::new(StringArray::from(wards))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}
