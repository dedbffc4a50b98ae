//! Data as Parquet files, in layouts that must not show.

use std::fs::File;
use std::path::Path;

use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::cell::{Cell, batch};
use super::data::Data;
use super::tables::Table;

/// How the files of one world are laid out.
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

/// Writes every table as a folder of files, and the look-up table as CSV.
pub(crate) fn write(data: &Data, layout: &Layout, folder: &Path) {
    for table in Table::ALL {
        let rows = data.rows(table);
        let target = folder.join(table.name());
        std::fs::create_dir_all(&target).unwrap();
        let chunk = rows.len().div_ceil(layout.files).max(1);
        let mut chunks: Vec<&[Vec<Cell>]> = rows.chunks(chunk).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        for (i, rows) in chunks.into_iter().enumerate() {
            write_file(
                table,
                rows,
                layout,
                &target.join(format!("part-{i}.parquet")),
            );
        }
    }
    let lines = data
        .wards
        .iter()
        .map(|(partner, ward)| format!("{partner},{ward}\n"));
    let text: String = std::iter::once("partner,ward\n".to_owned())
        .chain(lines)
        .collect();
    std::fs::write(folder.join("wards.csv"), text).unwrap();
}

fn write_file(table: Table, rows: &[Vec<Cell>], layout: &Layout, path: &Path) {
    let schema = table.schema(layout.strict);
    let properties = layout.properties();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).unwrap();
    if !rows.is_empty() {
        writer.write(&batch(&schema, rows)).unwrap();
    }
    writer.close().unwrap();
}
