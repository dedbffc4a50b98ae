//! Statements of the ledger, run under two policy sets on the data of today. What leaves is whether
//! the results are the same and how many rows they have, never a value.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use futures::StreamExt;
use scrim_engine::Ask;
use scrim_ledger::Record;
use scrim_model::{Code, QueryId, Refusal};
use serde_json::{Value as Json, json};

use crate::local::Local;
use crate::past::count;
use crate::render::text;

/// Distinct statements that are run; more are counted.
const STATEMENTS_MAX: usize = 100_000;
/// Results that differ and are named; more are counted.
const NAMED_MAX: usize = 100;

/// How results compare.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// Statements with the same result.
    pub(crate) same: u64,
    /// Statements with another result.
    pub(crate) different: u64,
    /// Those with another result that are named.
    pub(crate) named: Vec<Differs>,
    /// Statements that cannot be run again: the values of their parameters are not recorded.
    pub(crate) with_parameters: u64,
    /// Queries whose policies are not there any more.
    pub(crate) without_policies: u64,
    /// Statements that failed under both for other reasons than policies.
    pub(crate) failed: u64,
    /// Statements beyond those that are run.
    pub(crate) left_out: u64,
    /// Statements that were run, by what stands for them.
    seen: BTreeSet<u64>,
}

/// A statement with another result.
#[derive(Debug)]
pub(crate) struct Differs {
    pub(crate) query: QueryId,
    pub(crate) principal: String,
    pub(crate) org: String,
    pub(crate) sql: String,
    pub(crate) old: Ran,
    pub(crate) new: Ran,
    /// Whether the decisions are the same all the same: then the statement itself may have no fixed
    /// answer.
    pub(crate) decided_alike: bool,
}

/// How a statement ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ran {
    /// With so many rows.
    Rows { rows: u64, print: Print },
    /// With this code.
    Refused(Code),
    /// Not at all.
    Parameters,
}

/// What stands for a result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Print {
    columns: u64,
    /// Of all rows, in whatever order.
    rows: u64,
    /// Of the rows in their order, where the statement gives one.
    order: Option<u64>,
}

impl Runs {
    /// Runs what a record asked, unless the same was run before; `decided` are the hashes of then
    /// and now of the decisions about its tables.
    pub(crate) async fn add(
        &mut self,
        record: &Record,
        ask: &Ask,
        decided: &[(String, String)],
        (old, new): (&Local, &Local),
        decided_alike: bool,
    ) {
        if !self.is_new(&record.sql, ask, decided) {
            return;
        }
        let was = ran(old, ask, &record.sql).await;
        let is = ran(new, ask, &record.sql).await;
        if was == Ran::Parameters || is == Ran::Parameters {
            self.with_parameters += 1;
        } else if was.failed() && is.failed() {
            self.failed += 1;
        } else if was == is {
            self.same += 1;
        } else {
            self.different += 1;
            if self.named.len() < NAMED_MAX {
                self.named.push(Differs {
                    query: record.query,
                    principal: record.principal.clone(),
                    org: record.org.clone(),
                    sql: record.sql.clone(),
                    old: was,
                    new: is,
                    decided_alike,
                });
            }
        }
    }

    /// Whether somebody of whom the same is known asked this for the first time, or it was decided
    /// otherwise before: because of the hour, say.
    fn is_new(&mut self, sql: &str, ask: &Ask, decided: &[(String, String)]) -> bool {
        let (mut principal, mut context) = (ask.principal.get().clone(), ask.context.clone());
        // These differ from one query to the next.
        context.time = chrono::DateTime::UNIX_EPOCH;
        context.queries_last_hour = None;
        context.rows_last_day = None;
        principal.authenticated_at = None;
        let names = (&ask.default_schema, &ask.time_zone);
        let known = format!("{principal:?} {context:?} {:?} {names:?}", ask.settings);
        let key = hashed(&(known, sql, decided));
        if self.seen.contains(&key) {
            return false;
        }
        if self.seen.len() >= STATEMENTS_MAX {
            self.left_out += 1;
            return false;
        }
        self.seen.insert(key)
    }
}

fn hashed(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

async fn ran(local: &Local, ask: &Ask, sql: &str) -> Ran {
    local.pass_a_minute();
    match results(local, ask, sql).await {
        Ok(ran) => ran,
        Err(refusal) => Ran::Refused(refusal.code()),
    }
}

async fn results(local: &Local, ask: &Ask, sql: &str) -> Result<Ran, Refusal> {
    let bound = local.engine.bind(ask, sql, None).await?;
    if !bound.parameters()?.is_empty() {
        return Ok(Ran::Parameters);
    }
    let mut print = Print {
        order: bound.is_ordered().then_some(0),
        ..Print::default()
    };
    let mut rows = 0;
    let mut results = local.engine.start(bound).await?;
    let schema = results.schema();
    let fields = schema.fields().iter();
    let columns: Vec<_> = fields
        .map(|field| (field.name().clone(), field.data_type().to_string()))
        .collect();
    print.columns = hashed(&columns);
    while let Some(batch) = results.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        print.add(&batch).map_err(Refusal::internal)?;
    }
    Ok(Ran::Rows { rows, print })
}

impl Ran {
    /// Whether what went wrong has nothing to do with policies, so that nothing can be said of them.
    fn failed(&self) -> bool {
        let Self::Refused(code) = self else {
            return false;
        };
        matches!(
            code,
            Code::SourceUnavailable
                | Code::SourceBusy
                | Code::SourceChanged
                | Code::SourceInvalid
                | Code::MemoryLimit
                | Code::TimeLimit
                | Code::LedgerUnavailable
                | Code::Internal
        )
    }
}

impl Print {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), arrow::error::ArrowError> {
        let mut rows = vec![DefaultHasher::new(); batch.num_rows()];
        for column in batch.columns() {
            let values = text::column(rounded(column).as_ref(), "\u{0}")?;
            for (row, value) in rows.iter_mut().zip(&values) {
                value.hash(row);
            }
        }
        for row in rows {
            let row = row.finish();
            self.rows = self.rows.wrapping_add(row);
            if let Some(order) = &mut self.order {
                *order = hashed(&(*order, row));
            }
        }
        Ok(())
    }
}

/// Floats with fewer digits: a sum depends in its last ones on the order of the rows.
fn rounded(column: &ArrayRef) -> ArrayRef {
    fn nine(value: f64) -> f64 {
        format!("{value:.9e}").parse().unwrap_or(value)
    }
    match column.data_type() {
        DataType::Float64 => {
            let column = column.as_primitive::<Float64Type>();
            std::sync::Arc::new(column.unary::<_, Float64Type>(nine))
        }
        DataType::Float32 => {
            let column = column.as_primitive::<Float32Type>();
            std::sync::Arc::new(column.unary::<_, Float64Type>(|value| nine(f64::from(value))))
        }
        _ => std::sync::Arc::clone(column),
    }
}

/// As they are reported.
impl Runs {
    pub(super) fn json(&self) -> Json {
        let differs = |one: &Differs| {
            json!({
                "query": one.query,
                "principal": one.principal,
                "org": one.org,
                "sql": one.sql,
                "old": one.old.json(),
                "new": one.new.json(),
                "decided_alike": one.decided_alike,
            })
        };
        json!({
            "same": self.same,
            "different": self.different,
            "with_parameters": self.with_parameters,
            "without_policies": self.without_policies,
            "failed": self.failed,
            "left_out": self.left_out,
            "named": self.named.iter().map(differs).collect::<Vec<_>>(),
        })
    }

    pub(super) fn sums(&self) -> Vec<String> {
        let of = |number: u64, text: &str| (number > 0).then(|| format!("{number} {text}"));
        [
            Some(format!(
                "{} with the same result",
                count(self.same, "statement", "statements")
            )),
            of(self.different, "with another result"),
            of(
                self.with_parameters,
                "not run: the values of their parameters are not recorded",
            ),
            of(
                self.failed,
                "that cannot be compared: under both, a source was away or a limit of this machine \
                 was reached",
            ),
            of(
                self.without_policies,
                "queries not run: the policies of then are not there",
            ),
            of(
                self.left_out,
                "queries not run: there are too many statements",
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Differs {
    pub(super) fn title(&self) -> String {
        let alike = if self.decided_alike {
            " although the same is shown: perhaps the statement has no fixed answer"
        } else {
            ""
        };
        let (old, new) = (self.old.to_string(), self.new.to_string());
        let what = if old == new {
            format!("{old}, but not the same")
        } else {
            format!("{old} → {new}")
        };
        format!(
            "{} ({}), query {}: {what}{alike}",
            self.principal, self.org, self.query
        )
    }
}

impl Ran {
    fn json(&self) -> Json {
        match self {
            Self::Rows { rows, .. } => json!({"rows": rows}),
            Self::Refused(code) => json!({"refused": code.as_str()}),
            Self::Parameters => Json::Null,
        }
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows { rows, .. } => f.write_str(&count(*rows, "row", "rows")),
            Self::Refused(code) => write!(f, "refused with {code}"),
            Self::Parameters => f.write_str("not run"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

    use super::Print;

    fn print(order: bool, batches: &[&[(i64, Option<&str>, f64)]]) -> Print {
        let mut print = Print {
            order: order.then_some(0),
            ..Print::default()
        };
        for rows in batches {
            let columns: [(&str, ArrayRef); 3] = [
                (
                    "a",
                    Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
                ),
                (
                    "b",
                    Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>()),
                ),
                (
                    "c",
                    Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.2))),
                ),
            ];
            print
                .add(&RecordBatch::try_from_iter(columns).unwrap())
                .unwrap();
        }
        print
    }

    #[test]
    fn a_print_is_that_of_the_rows_and_not_of_their_order_or_batches() {
        let (one, two, three) = (
            (1, Some("x"), 0.5),
            (2, None, 1.0 / 3.0),
            (3, Some(""), 0.1 + 0.2),
        );
        let all = print(false, &[&[one, two, three]]);
        assert_eq!(all, print(false, &[&[three], &[two, one]]));
        assert_eq!(all, print(false, &[&[one, two, (3, Some(""), 0.3)]]));
        assert_ne!(all, print(false, &[&[one, two]]));
        assert_ne!(all, print(false, &[&[one, two, three, three]]));
        assert_ne!(
            all,
            print(false, &[&[one, (2, Some("null"), 1.0 / 3.0), three]])
        );
        assert_ne!(all, print(false, &[&[one, two, (3, None, 0.3)]]));
        assert_ne!(print(false, &[&[one, one]]), print(false, &[&[two, two]]));
        let ordered = print(true, &[&[one, two]]);
        assert_eq!(ordered, print(true, &[&[one], &[two]]));
        assert_ne!(ordered, print(true, &[&[two, one]]));
    }
}
