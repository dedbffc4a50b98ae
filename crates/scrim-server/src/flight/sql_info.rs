//! What the server can do, as GetSqlInfo tells it: every code that drivers read without asking
//! whether it is there, each in the union's child that they expect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::SqlInfoDataBuilder;
use arrow_flight::sql::{
    SqlInfo as Code, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity,
    SqlSupportedGroupBy, SqlSupportedResultSetConcurrency, SqlSupportedResultSetType,
    SqlSupportedSubqueries, SqlSupportedTransaction, SqlSupportedUnions, SqlSupportsConvert,
    SqlTransactionIsolationLevel, SupportedSqlGrammar,
};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use scrim_engine::EngineLimits;

/// Codes that old JDBC drivers do not know and break on; they are answered when asked for.
const NOT_UNASKED: [u32; 2] = [10, 11];

/// One piece of information, in its child of the union.
#[derive(Debug, Clone)]
enum Info {
    Text(&'static str),
    Flag(bool),
    Long(i64),
    Mask(i32),
    Words(&'static [&'static str]),
    Conversions(BTreeMap<i32, Vec<i32>>),
}

/// The schema of the answer.
pub(super) fn schema() -> SchemaRef {
    Arc::new(SqlInfoDataBuilder::schema().clone())
}

/// The asked-for pieces, or all when none is; unknown codes are skipped.
pub(super) fn batch(codes: &[u32], limits: &EngineLimits) -> Result<RecordBatch, FlightError> {
    let asked: BTreeSet<u32> = codes.iter().copied().collect();
    let mut builder = SqlInfoDataBuilder::new();
    for (code, info) in &table(limits) {
        let wanted = if asked.is_empty() {
            !NOT_UNASKED.contains(code)
        } else {
            asked.contains(code)
        };
        if wanted {
            append(&mut builder, *code, info);
        }
    }
    builder.build()?.record_batch(None)
}

fn append(builder: &mut SqlInfoDataBuilder, code: u32, info: &Info) {
    match info {
        Info::Text(text) => builder.append(code, *text),
        Info::Flag(flag) => builder.append(code, *flag),
        Info::Long(long) => builder.append(code, *long),
        Info::Mask(mask) => builder.append(code, *mask),
        Info::Words(words) => builder.append(code, *words),
        Info::Conversions(map) => builder.append(code, map.clone()),
    }
}

fn table(own: &EngineLimits) -> BTreeMap<u32, Info> {
    let groups = [
        server(),
        syntax(),
        abilities(),
        limits(own),
        transactions(),
        result_sets(),
    ];
    let all = groups.into_iter().flatten();
    all.filter_map(|(code, info)| Some((u32::try_from(i32::from(code)).ok()?, info)))
        .collect()
}

type Group = Vec<(Code, Info)>;

/// Bits of enumeration values.
fn mask(values: &[i32]) -> Info {
    Info::Mask(values.iter().fold(0, |mask, value| mask | (1 << value)))
}

fn server() -> Group {
    vec![
        (Code::FlightSqlServerName, Info::Text("Scrim")),
        (
            Code::FlightSqlServerVersion,
            Info::Text(env!("CARGO_PKG_VERSION")),
        ),
        (
            Code::FlightSqlServerArrowVersion,
            Info::Text(arrow::ARROW_VERSION),
        ),
        (Code::FlightSqlServerReadOnly, Info::Flag(true)),
        (Code::FlightSqlServerSql, Info::Flag(true)),
        (Code::FlightSqlServerSubstrait, Info::Flag(false)),
        (Code::FlightSqlServerSubstraitMinVersion, Info::Text("")),
        (Code::FlightSqlServerSubstraitMaxVersion, Info::Text("")),
        (
            Code::FlightSqlServerTransaction,
            Info::Mask(SqlSupportedTransaction::None.into()),
        ),
        (Code::FlightSqlServerCancel, Info::Flag(true)),
        (Code::FlightSqlServerBulkIngestion, Info::Flag(false)),
        (
            Code::FlightSqlServerIngestTransactionsSupported,
            Info::Flag(false),
        ),
        (Code::FlightSqlServerStatementTimeout, Info::Mask(0)),
        (Code::FlightSqlServerTransactionTimeout, Info::Mask(0)),
    ]
}

fn syntax() -> Group {
    use SqlSupportedCaseSensitivity as Case;
    vec![
        (Code::SqlDdlCatalog, Info::Flag(false)),
        (Code::SqlDdlSchema, Info::Flag(false)),
        (Code::SqlDdlTable, Info::Flag(false)),
        (
            Code::SqlIdentifierCase,
            Info::Long(Case::SqlCaseSensitivityLowercase as i64),
        ),
        (Code::SqlIdentifierQuoteChar, Info::Text("\"")),
        (
            Code::SqlQuotedIdentifierCase,
            Info::Long(Case::SqlCaseSensitivityUnknown as i64),
        ),
        (Code::SqlAllTablesAreSelectable, Info::Flag(true)),
        // DataFusion: ascending puts NULLs last, descending puts them first.
        (
            Code::SqlNullOrdering,
            Info::Long(SqlNullOrdering::SqlNullsSortedHigh as i64),
        ),
        (Code::SqlKeywords, Info::Words(KEYWORDS)),
        (Code::SqlNumericFunctions, Info::Words(NUMERIC_FUNCTIONS)),
        (Code::SqlStringFunctions, Info::Words(STRING_FUNCTIONS)),
        (
            Code::SqlSystemFunctions,
            Info::Words(&["coalesce", "nullif", "nvl"]),
        ),
        (Code::SqlDatetimeFunctions, Info::Words(DATETIME_FUNCTIONS)),
        (Code::SqlSearchStringEscape, Info::Text("\\")),
        (Code::SqlExtraNameCharacters, Info::Text("")),
        (Code::SqlSchemaTerm, Info::Text("schema")),
        (Code::SqlProcedureTerm, Info::Text("procedure")),
        (Code::SqlCatalogTerm, Info::Text("catalog")),
        (Code::SqlCatalogAtStart, Info::Flag(true)),
    ]
}

fn abilities() -> Group {
    use SqlSupportedSubqueries as Sub;
    let subqueries = [
        Sub::SqlSubqueriesInComparisons as i32,
        Sub::SqlSubqueriesInExists as i32,
        Sub::SqlSubqueriesInIns as i32,
    ];
    let unions = [
        SqlSupportedUnions::SqlUnion as i32,
        SqlSupportedUnions::SqlUnionAll as i32,
    ];
    // Who can do full ones can do limited ones.
    let outer = [
        SqlOuterJoinsSupportLevel::SqlLimitedOuterJoins as i32,
        SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32,
    ];
    vec![
        (Code::SqlSupportsColumnAliasing, Info::Flag(true)),
        (Code::SqlNullPlusNullIsNull, Info::Flag(true)),
        (Code::SqlSupportsConvert, Info::Conversions(conversions())),
        (Code::SqlSupportsTableCorrelationNames, Info::Flag(true)),
        (
            Code::SqlSupportsDifferentTableCorrelationNames,
            Info::Flag(false),
        ),
        (Code::SqlSupportsExpressionsInOrderBy, Info::Flag(true)),
        (Code::SqlSupportsOrderByUnrelated, Info::Flag(true)),
        (
            Code::SqlSupportedGroupBy,
            mask(&[
                SqlSupportedGroupBy::SqlGroupByUnrelated as i32,
                SqlSupportedGroupBy::SqlGroupByBeyondSelect as i32,
            ]),
        ),
        (Code::SqlSupportsLikeEscapeClause, Info::Flag(true)),
        (Code::SqlSupportsNonNullableColumns, Info::Flag(false)),
        (
            Code::SqlSupportedGrammar,
            mask(&[SupportedSqlGrammar::SqlMinimumGrammar as i32]),
        ),
        // Entry level, whose enumeration value is 0.
        (Code::SqlAnsi92SupportedLevel, Info::Mask(1)),
        (
            Code::SqlSupportsIntegrityEnhancementFacility,
            Info::Flag(false),
        ),
        (Code::SqlOuterJoinsSupportLevel, mask(&outer)),
        (Code::SqlSchemasSupportedActions, Info::Mask(0)),
        (Code::SqlCatalogsSupportedActions, Info::Mask(0)),
        (Code::SqlSupportedPositionedCommands, Info::Mask(0)),
        (Code::SqlSelectForUpdateSupported, Info::Flag(false)),
        (Code::SqlStoredProceduresSupported, Info::Flag(false)),
        (Code::SqlSupportedSubqueries, mask(&subqueries)),
        (Code::SqlCorrelatedSubqueriesSupported, Info::Flag(true)),
        (Code::SqlSupportedUnions, mask(&unions)),
    ]
}

/// 0 says "no limit, or unknown".
fn limits(own: &EngineLimits) -> Group {
    let unknown = [
        Code::SqlMaxBinaryLiteralLength,
        Code::SqlMaxCharLiteralLength,
        Code::SqlMaxColumnNameLength,
        Code::SqlMaxColumnsInGroupBy,
        Code::SqlMaxColumnsInIndex,
        Code::SqlMaxColumnsInOrderBy,
        Code::SqlMaxColumnsInSelect,
        Code::SqlMaxColumnsInTable,
        Code::SqlMaxConnections,
        Code::SqlMaxCursorNameLength,
        Code::SqlMaxIndexLength,
        Code::SqlDbSchemaNameLength,
        Code::SqlMaxProcedureNameLength,
        Code::SqlMaxCatalogNameLength,
        Code::SqlMaxStatements,
        Code::SqlMaxTableNameLength,
        Code::SqlMaxTablesInSelect,
        Code::SqlMaxUsernameLength,
    ];
    let mut group: Group = unknown
        .into_iter()
        .map(|code| (code, Info::Long(0)))
        .collect();
    let statement = own.sql_bytes_max as i64;
    group.extend([
        (Code::SqlMaxStatementLength, Info::Long(statement)),
        (
            Code::SqlMaxRowSize,
            Info::Long(crate::wire::MESSAGE_BYTES_MAX as i64),
        ),
        (Code::SqlMaxRowSizeIncludesBlobs, Info::Flag(true)),
    ]);
    group
}

fn transactions() -> Group {
    let none = SqlTransactionIsolationLevel::SqlTransactionNone;
    vec![
        (
            Code::SqlDefaultTransactionIsolation,
            Info::Long(none as i64),
        ),
        (Code::SqlTransactionsSupported, Info::Flag(false)),
        (
            Code::SqlSupportedTransactionsIsolationLevels,
            mask(&[none as i32]),
        ),
        (
            Code::SqlDataDefinitionCausesTransactionCommit,
            Info::Flag(false),
        ),
        (
            Code::SqlDataDefinitionsInTransactionsIgnored,
            Info::Flag(false),
        ),
        (Code::SqlBatchUpdatesSupported, Info::Flag(false)),
        (Code::SqlSavepointsSupported, Info::Flag(false)),
        (Code::SqlNamedParametersSupported, Info::Flag(false)),
        (Code::SqlLocatorsUpdateCopy, Info::Flag(false)),
        (
            Code::SqlStoredFunctionsUsingCallSyntaxSupported,
            Info::Flag(false),
        ),
    ]
}

fn result_sets() -> Group {
    let forward = SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32;
    let read = SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly as i32;
    vec![
        (Code::SqlSupportedResultSetTypes, mask(&[forward])),
        (
            Code::SqlSupportedConcurrenciesForResultSetUnspecified,
            Info::Mask(0),
        ),
        (
            Code::SqlSupportedConcurrenciesForResultSetForwardOnly,
            mask(&[read]),
        ),
        (
            Code::SqlSupportedConcurrenciesForResultSetScrollSensitive,
            Info::Mask(0),
        ),
        (
            Code::SqlSupportedConcurrenciesForResultSetScrollInsensitive,
            Info::Mask(0),
        ),
    ]
}

/// What CAST takes to what: asked of the code that casts.
fn conversions() -> BTreeMap<i32, Vec<i32>> {
    use SqlSupportsConvert as To;
    let decimal = DataType::Decimal128(38, 10);
    let types = [
        (To::SqlConvertBigint, DataType::Int64),
        (To::SqlConvertBit, DataType::Boolean),
        (To::SqlConvertChar, DataType::Utf8),
        (To::SqlConvertDate, DataType::Date32),
        (To::SqlConvertDecimal, decimal.clone()),
        (To::SqlConvertFloat, DataType::Float64),
        (To::SqlConvertInteger, DataType::Int32),
        (To::SqlConvertNumeric, decimal),
        (To::SqlConvertReal, DataType::Float32),
        (To::SqlConvertSmallint, DataType::Int16),
        (To::SqlConvertTime, DataType::Time64(TimeUnit::Nanosecond)),
        (
            To::SqlConvertTimestamp,
            DataType::Timestamp(TimeUnit::Nanosecond, None),
        ),
        (To::SqlConvertTinyint, DataType::Int8),
        (To::SqlConvertVarbinary, DataType::Binary),
        (To::SqlConvertVarchar, DataType::Utf8),
    ];
    let targets = |from: &DataType| {
        let fits = types.iter().filter(|(_, to)| can_cast_types(from, to));
        fits.map(|(kind, _)| *kind as i32).collect()
    };
    types
        .iter()
        .map(|(kind, from)| (*kind as i32, targets(from)))
        .collect()
}

/// Reserved words beyond those of SQL-92.
const KEYWORDS: &[&str] = &[
    "ANTI",
    "EXCEPT",
    "ILIKE",
    "LATERAL",
    "LIMIT",
    "OFFSET",
    "QUALIFY",
    "RECURSIVE",
    "SEMI",
    "UNNEST",
    "WINDOW",
];

const NUMERIC_FUNCTIONS: &[&str] = &[
    "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "degrees", "exp", "floor", "ln", "log",
    "log10", "log2", "pi", "power", "radians", "round", "signum", "sin", "sqrt", "tan", "trunc",
];

const STRING_FUNCTIONS: &[&str] = &[
    "ascii",
    "btrim",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "initcap",
    "left",
    "lower",
    "ltrim",
    "octet_length",
    "replace",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "translate",
    "trim",
    "upper",
];

const DATETIME_FUNCTIONS: &[&str] = &[
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "make_date",
    "now",
    "to_date",
    "to_timestamp",
];

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray, UnionArray};
    use datafusion::arrow::datatypes::UInt32Type;

    use super::*;

    fn answer(codes: &[u32]) -> RecordBatch {
        batch(codes, &EngineLimits::default()).unwrap()
    }

    fn children(batch: &RecordBatch) -> BTreeMap<u32, i8> {
        let codes = batch.column(0).as_primitive::<UInt32Type>();
        let values = batch
            .column(1)
            .as_any()
            .downcast_ref::<UnionArray>()
            .unwrap();
        codes
            .values()
            .iter()
            .copied()
            .zip(values.type_ids().iter().copied())
            .collect()
    }

    fn expected(code: u32) -> i8 {
        match code {
            0 | 1 | 2 | 6 | 7 | 504 | 513 | 514 | 529..=531 => 0,
            3
            | 4
            | 5
            | 9..=11
            | 500..=502
            | 506
            | 515
            | 516
            | 518..=521
            | 523
            | 524
            | 527
            | 532
            | 536
            | 537
            | 539
            | 556
            | 563
            | 565
            | 566
            | 572..=576 => 1,
            503 | 505 | 507 | 541..=555 | 557..=562 => 2,
            8 | 100 | 101 | 522 | 525 | 526 | 528 | 533..=535 | 538 | 540 | 564 | 567..=571 => 3,
            508..=512 => 4,
            517 => 5,
            _ => panic!("unknown code {code}"),
        }
    }

    #[test]
    fn every_code_is_there_in_the_child_that_drivers_expect() {
        let all = children(&answer(&[]));
        let wanted: Vec<u32> = (0..=9).chain(100..=101).chain(500..=576).collect();
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), wanted);
        for (code, child) in all {
            assert_eq!(child, expected(code), "{code}");
        }
    }

    #[test]
    fn asked_for_codes_only_and_unknown_ones_skipped() {
        let some = children(&answer(&[8, 10_000, 10, 8, 504]));
        assert_eq!(
            some.into_iter().collect::<Vec<_>>(),
            [(8, 3), (10, 1), (504, 0)]
        );
        let none = answer(&[77_777]);
        assert_eq!(none.num_rows(), 0);
        assert_eq!(none.schema(), schema());
        assert_eq!(
            children(&answer(&[10, 11]))
                .into_values()
                .collect::<Vec<_>>(),
            [1, 1]
        );
    }

    #[test]
    fn bits_are_those_of_the_enumerations_and_a_limit_is_the_engines() {
        let own = EngineLimits {
            sql_bytes_max: 4_321,
            ..EngineLimits::default()
        };
        let table = table(&own);
        for (code, mask) in [
            (8, 0),
            (522, 3),
            (526, 1),
            (528, 6),
            (538, 7),
            (540, 3),
            (564, 1),
        ] {
            let found = &table[&code];
            assert!(
                matches!(found, Info::Mask(bits) if *bits == mask),
                "{code}: {found:?}"
            );
        }
        for (code, mask) in [(567, 2), (568, 0), (569, 2), (570, 0), (571, 0)] {
            let found = &table[&code];
            assert!(
                matches!(found, Info::Mask(bits) if *bits == mask),
                "{code}: {found:?}"
            );
        }
        for (code, long) in [(503, 3), (505, 0), (507, 0), (557, 4_321), (562, 0)] {
            let found = &table[&code];
            assert!(
                matches!(found, Info::Long(value) if *value == long),
                "{code}: {found:?}"
            );
        }
        for (code, flag) in [
            (3, true),
            (4, true),
            (5, false),
            (9, true),
            (10, false),
            (563, false),
        ] {
            let found = &table[&code];
            assert!(
                matches!(found, Info::Flag(value) if *value == flag),
                "{code}: {found:?}"
            );
        }
    }

    #[test]
    fn the_schema_is_the_one_announced() {
        assert_eq!(answer(&[]).schema(), schema());
    }
}
