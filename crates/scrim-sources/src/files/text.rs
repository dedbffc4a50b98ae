//! Rows of text, decoded many at a time. Whether a row fits, and what it holds, depends on that row
//! alone and on all columns of the table, never on its neighbours or on what a query asks of it:
//! else a hidden row or column would show in a visible one.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{CastOptions, cast_with_options, concat_batches};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, SchemaRef};
use datafusion::error::DataFusionError;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use scrim_engine::{FaultKind, SourceFault};
use scrim_policy::BadRows;

use super::lines::Records;
use super::pin::Pinned;

/// What decodes rows.
pub(super) trait Rows: Send {
    /// The columns of what it decodes.
    fn schema(&self) -> &SchemaRef;

    /// All of the rows, or none if one of them does not fit.
    fn decode(&self, rows: &[&[u8]]) -> Option<RecordBatch>;
}

/// A file of text that is being read.
pub(super) struct Text {
    pub(super) file: Pinned,
    pub(super) records: Records,
    pub(super) rows: Box<dyn Rows>,
    pub(super) bad_rows: BadRows,
    /// Rows of one batch.
    pub(super) most: usize,
    /// Rows that were left out.
    pub(super) skipped: u64,
}

impl Text {
    /// The batches of the file.
    pub(super) fn batches(self) -> BoxStream<'static, Result<RecordBatch, DataFusionError>> {
        let batches = stream::try_unfold(self, |mut text| async move {
            let batch = text.next().await?;
            Ok(batch.map(|batch| (batch, text)))
        });
        batches.boxed()
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, SourceFault> {
        while let Some(block) = self.records.next(self.most).await? {
            let (rows, lines): (Vec<_>, Vec<_>) = block
                .records()
                .map(|(row, line)| (row.unwrap_or_default(), line))
                .unzip();
            let mut sound = Vec::new();
            self.sift(&rows, &lines, &mut sound)?;
            let batch = match sound.as_slice() {
                [] => continue,
                [one] => one.clone(),
                many => concat_batches(self.rows.schema(), many).map_err(|_| {
                    self.file
                        .fault(FaultKind::Invalid, "rows do not fit together")
                })?,
            };
            return Ok(Some(batch));
        }
        if self.skipped > 0 {
            let (file, rows) = (self.file.to_string(), self.skipped);
            tracing::warn!(%file, rows, "left out rows that do not fit the declared types");
        }
        Ok(None)
    }

    /// Decodes rows, halving them until those that do not fit are alone.
    fn sift(
        &mut self,
        rows: &[&[u8]],
        lines: &[u64],
        sound: &mut Vec<RecordBatch>,
    ) -> Result<(), SourceFault> {
        if let Some(batch) = self.rows.decode(rows) {
            sound.push(batch);
            return Ok(());
        }
        let middle = rows.len() / 2;
        if middle > 0
            && let (Some((left, right)), Some((above, below))) = (
                rows.split_at_checked(middle),
                lines.split_at_checked(middle),
            )
        {
            self.sift(left, above, sound)?;
            return self.sift(right, below, sound);
        }
        match self.bad_rows {
            BadRows::Skip => {
                self.skipped += 1;
                Ok(())
            }
            BadRows::Fail => {
                let line = lines.first().copied().unwrap_or_default();
                let what = format!(
                    "the row at line {line} does not fit the declared types; mend it, or let the \
                     contract leave out bad rows"
                );
                Err(self.file.fault(FaultKind::Invalid, what))
            }
        }
    }
}

/// The type whose every value is still the text that it is written as.
pub(super) fn textual(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => DataType::Struct(textual_fields(fields)),
        DataType::List(item) => DataType::List(textual_field(item)),
        _ => DataType::Utf8,
    }
}

pub(super) fn textual_fields(fields: &Fields) -> Fields {
    fields.iter().map(textual_field).collect()
}

fn textual_field(field: &FieldRef) -> FieldRef {
    Field::new(field.name(), textual(field.data_type()), true).into()
}

/// A column of text as another type; none if a value is not of it.
pub(super) fn typed(column: &ArrayRef, data_type: &DataType) -> Option<ArrayRef> {
    if column.data_type() == data_type {
        return Some(Arc::clone(column));
    }
    // A value that is not of the type becomes NULL, which is then one too many.
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let cast = cast_with_options(column, data_type, &options).ok()?;
    (nulls(cast.as_ref()) == nulls(column.as_ref())).then_some(cast)
}

/// The NULLs of a column at every depth.
fn nulls(column: &dyn Array) -> usize {
    let inside = match column.data_type() {
        DataType::Struct(_) => {
            let children = column.as_struct().columns().iter();
            children.map(|child| nulls(child.as_ref())).sum()
        }
        DataType::List(_) => nulls(column.as_list::<i32>().values().as_ref()),
        _ => 0,
    };
    column.null_count() + inside
}
