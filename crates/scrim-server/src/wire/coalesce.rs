//! Small batches, as selective filters leave them, put together.

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::error::ArrowError;

/// Bytes from which a batch is worth a message of its own.
const BYTES_ALONE: usize = 512 * 1024;
/// Bytes at which collected batches leave.
const BYTES_FULL: usize = 1024 * 1024;
/// Rows at which collected batches leave.
const ROWS_FULL: usize = 65_536;

/// Collects small batches until they are worth a message; the first leaves at once, since its
/// reader has waited longest.
#[derive(Debug, Default)]
pub(crate) struct Coalescer {
    collected: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    started: bool,
}

impl Coalescer {
    /// Takes a batch and gives back what should leave now, in order.
    pub(crate) fn push(
        &mut self,
        batch: RecordBatch,
    ) -> Result<[Option<RecordBatch>; 2], ArrowError> {
        if !self.started {
            self.started = true;
            return Ok([Some(batch), None]);
        }
        let bytes = slice_bytes(&batch);
        if bytes >= BYTES_ALONE || batch.num_rows() >= ROWS_FULL {
            return Ok([self.take()?, Some(batch)]);
        }
        self.rows += batch.num_rows();
        self.bytes += bytes;
        self.collected.push(batch);
        if self.bytes >= BYTES_FULL || self.rows >= ROWS_FULL {
            return Ok([self.take()?, None]);
        }
        Ok([None, None])
    }

    /// Everything collected so far, as one batch.
    pub(crate) fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        (self.rows, self.bytes) = (0, 0);
        let batches = std::mem::take(&mut self.collected);
        match batches.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [first, ..] => concat_batches(first.schema_ref(), &batches).map(Some),
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.collected.is_empty()
    }
}

/// Bytes that the rows of a batch use, whatever larger buffers they are slices of.
pub(crate) fn slice_bytes(batch: &RecordBatch) -> usize {
    // A type whose slices cannot be measured counts in full.
    let measure = |column: &dyn Array| {
        column
            .to_data()
            .get_slice_memory_size()
            .unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch
        .columns()
        .iter()
        .map(|column| measure(column.as_ref()))
        .sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn numbers(from: i64, rows: i64) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + rows));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn rows(out: &[Option<RecordBatch>; 2]) -> Vec<usize> {
        out.iter().flatten().map(RecordBatch::num_rows).collect()
    }

    #[test]
    fn the_first_batch_leaves_at_once_and_small_ones_wait() {
        let mut coalescer = Coalescer::default();
        assert_eq!(rows(&coalescer.push(numbers(0, 3)).unwrap()), [3]);
        assert_eq!(rows(&coalescer.push(numbers(3, 4)).unwrap()), [0; 0]);
        assert_eq!(rows(&coalescer.push(numbers(7, 5)).unwrap()), [0; 0]);
        assert!(!coalescer.is_empty());
        let rest = coalescer.take().unwrap().unwrap();
        assert_eq!(rest, numbers(3, 9));
        assert!(coalescer.is_empty() && coalescer.take().unwrap().is_none());
    }

    #[test]
    fn collected_rows_leave_before_a_large_batch_and_when_there_are_enough() {
        let mut coalescer = Coalescer::default();
        assert_eq!(rows(&coalescer.push(numbers(0, 1)).unwrap()), [1]);
        assert_eq!(rows(&coalescer.push(numbers(1, 2)).unwrap()), [0; 0]);
        assert_eq!(
            rows(&coalescer.push(numbers(3, 100_000)).unwrap()),
            [2, 100_000]
        );
        for i in 0..3 {
            assert_eq!(rows(&coalescer.push(numbers(i, 20_000)).unwrap()), [0; 0]);
        }
        assert_eq!(rows(&coalescer.push(numbers(9, 20_000)).unwrap()), [80_000]);
    }
}
