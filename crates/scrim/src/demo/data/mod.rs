//! The rows of the demo world: a seeded generator, the same on every machine, with planted facts.
//!
//! - `NG-000001`, the one patient of ward *Lighthouse*: insured by Harbor, agreed to research.
//! - `NG-000002`, the one patient of ward *Sunroom*: the same, and a member of study 7.
//! - The diagnosis `Q99.9` stands on one visit only.
//! - Canaries, strings that begin with `canary-`, where they must not be seen; see [`canary`].

pub mod canary;
mod claims;
mod patients;
mod people;
mod pick;
mod visits;
mod write;

use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// How many people are registered at scale 1.
const PEOPLE: f64 = 20_000.0;
/// Visits for each person, on average.
const VISITS_EACH: usize = 6;
/// Claims for each person, on average.
const CLAIMS_EACH: usize = 9;

/// What is generated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DataOptions {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// 1 is about 320,000 rows in all.
    pub scale: f64,
}

impl Default for DataOptions {
    fn default() -> Self {
        Self {
            seed: 42,
            scale: 1.0,
        }
    }
}

/// Rows written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSize {
    /// Rows of `care.patients`.
    pub patients: usize,
    /// Rows of `care.visits`.
    pub visits: usize,
    /// Rows of `insurance.claims`.
    pub claims: usize,
}

impl DataSize {
    /// All rows together.
    pub fn total(self) -> usize {
        self.patients + self.visits + self.claims
    }
}

/// Why the data could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder.
    #[error("cannot write {}", .0.display())]
    Io(PathBuf, #[source] std::io::Error),
    /// A column.
    #[error("cannot build a column of the demo's data")]
    Arrow(#[from] ArrowError),
    /// A Parquet file.
    #[error("cannot write a Parquet file of the demo's data")]
    Parquet(#[from] ParquetError),
    /// A writer that did not finish.
    #[error("a writer of the demo's data did not finish")]
    Unfinished,
}

/// Writes the three tables under `folder`.
pub fn write(folder: &Path, options: DataOptions) -> Result<DataSize, DataError> {
    let count = ((PEOPLE * options.scale) as usize).max(200);
    let people = people::draw(&mut stream(options.seed, 0), count);
    let size = DataSize {
        patients: people.len(),
        visits: people.len() * VISITS_EACH,
        claims: people.len() * CLAIMS_EACH,
    };
    write::make_folder(&folder.join("visits"))?;
    // three independent streams of numbers, so that the tables can be written side by side
    std::thread::scope(|scope| {
        let patients = scope.spawn(|| {
            let batches = patients::batches(&people, stream(options.seed, 1));
            write::file(
                &folder.join("patients.parquet"),
                batches,
                write::Codec::Zstd,
            )
        });
        let visits = scope.spawn(|| {
            let mut parts = visits::parts(&people, size.visits, stream(options.seed, 2));
            for (file, part) in ["part-0.parquet", "part-1.parquet"]
                .into_iter()
                .zip(&mut parts)
            {
                write::file(
                    &folder.join("visits").join(file),
                    part,
                    write::Codec::Snappy,
                )?;
            }
            Ok(())
        });
        let claims = claims::batches(&people, size.claims, stream(options.seed, 3));
        write::file(&folder.join("claims.parquet"), claims, write::Codec::Zstd)?;
        for writer in [patients, visits] {
            writer.join().map_err(|_| DataError::Unfinished)??;
        }
        Ok(size)
    })
}

fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

#[cfg(test)]
mod tests {
    use super::{DataOptions, write};

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let options = DataOptions {
            seed: 7,
            scale: 0.02,
        };
        assert_eq!(
            write(a.path(), options).unwrap(),
            write(b.path(), options).unwrap()
        );
        for file in [
            "patients.parquet",
            "visits/part-1.parquet",
            "claims.parquet",
        ] {
            let read = |root: &tempfile::TempDir| std::fs::read(root.path().join(file)).unwrap();
            assert!(read(&a) == read(&b), "{file} differs");
        }
    }
}
