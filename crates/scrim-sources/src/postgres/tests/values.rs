//! Every type, and its strangest values.

use datafusion::arrow::array::{AsArray, Float64Array};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float64Type, IntervalMonthDayNanoType, TimeUnit, TimestampMicrosecondType,
};

use super::super::binary::Decoder;
use super::super::schema::Table;
use super::*;

/// A type, its values in SQL, what they are read as, and how Arrow prints them.
type Case<'a> = (&'a str, DataType, &'a [(&'a str, &'a str)]);

async fn check((of, data_type, values): Case<'_>, world: &World) {
    world.database.execute(&format!(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (n serial, c {of})"
    ));
    for (sql, _) in values {
        world
            .database
            .execute(&format!("INSERT INTO t (c) VALUES ({sql}), (NULL)"));
    }
    let table = world.open(&wanted("t", &[("c", None)])).await.unwrap();
    let batch = all(&table).await;
    assert_eq!(batch.schema().field(0).data_type(), &data_type, "{of}");
    let expected: Vec<_> = values
        .iter()
        .flat_map(|(_, shown)| [*shown, "NULL"])
        .collect();
    assert_eq!(texts(&batch, "c"), expected, "{of}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_read_as_what_they_are() {
    let world = World::new();
    let cases: [Case<'_>; 7] = [
        (
            "boolean",
            DataType::Boolean,
            &[("true", "true"), ("false", "false")],
        ),
        (
            "smallint",
            DataType::Int16,
            &[("-32768", "-32768"), ("32767", "32767")],
        ),
        (
            "int",
            DataType::Int32,
            &[("-2147483648", "-2147483648"), ("7", "7")],
        ),
        (
            "bigint",
            DataType::Int64,
            &[("'-9223372036854775808'", "-9223372036854775808")],
        ),
        (
            "oid",
            DataType::Int64,
            &[("4294967295::oid", "4294967295"), ("0", "0")],
        ),
        (
            "real",
            DataType::Float32,
            &[("'NaN'", "NaN"), ("'-Infinity'", "-inf"), ("1.5", "1.5")],
        ),
        (
            "float8",
            DataType::Float64,
            &[("'-0'", "-0.0"), ("1e308", "1e308"), ("'NaN'", "NaN")],
        ),
    ];
    for case in cases {
        check(case, &world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numerics_with_a_precision_are_decimals() {
    let world = World::of("CREATE DOMAIN price AS numeric(8, 2); CREATE DOMAIN cheap AS price");
    let cases: [Case<'_>; 6] = [
        (
            "numeric(10, 2)",
            DataType::Decimal128(10, 2),
            &[
                ("0", "0.00"),
                ("-12345678.90", "-12345678.90"),
                ("99999999.99", "99999999.99"),
                ("0.01", "0.01"),
                ("10000", "10000.00"),
                ("'NaN'", "NULL"),
            ],
        ),
        (
            "numeric(38, 38)",
            DataType::Decimal128(38, 38),
            &[
                (
                    "0.99999999999999999999999999999999999999",
                    "0.99999999999999999999999999999999999999",
                ),
                ("1e-38", "0.00000000000000000000000000000000000001"),
            ],
        ),
        (
            "numeric(5, -3)",
            DataType::Decimal128(8, 0),
            &[("12345678", "12346000")],
        ),
        (
            "numeric(2, 5)",
            DataType::Decimal128(5, 5),
            &[("0.00099", "0.00099")],
        ),
        ("cheap", DataType::Decimal128(8, 2), &[("12.345", "12.35")]),
        (
            "numeric(76, 1)",
            DataType::Decimal256(76, 1),
            &[
                ("-1e74", &format!("-1{}.0", "0".repeat(74))),
                ("0.1", "0.1"),
            ],
        ),
    ];
    for case in cases {
        check(case, &world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_as_postgres_prints_them() {
    let world = World::of(
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'ünïcode ''quoted'''); \
         CREATE DOMAIN email AS text CHECK (value LIKE '%@%')",
    );
    let long = "ab'\\\u{1d11e}".repeat(100_000);
    let quoted = format!("'{}'", long.replace('\'', "''"));
    let cases: [Case<'_>; 13] = [
        (
            "text",
            DataType::Utf8,
            &[("''", ""), ("'Ünïcode 漢字 𝄞'", "Ünïcode 漢字 𝄞")],
        ),
        ("text", DataType::Utf8, &[(&quoted, &long)]),
        ("varchar(5)", DataType::Utf8, &[("'ab   '", "ab   ")]),
        ("char(5)", DataType::Utf8, &[("'ab'", "ab   ")]),
        ("name", DataType::Utf8, &[("'pg_class'", "pg_class")]),
        ("\"char\"", DataType::Utf8, &[("'x'", "x"), ("''", "")]),
        ("email", DataType::Utf8, &[("'a@b'", "a@b")]),
        (
            "mood",
            DataType::Utf8,
            &[("'ok'", "ok"), ("'ünïcode ''quoted'''", "ünïcode 'quoted'")],
        ),
        (
            "uuid",
            DataType::Utf8,
            &[(
                "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            )],
        ),
        (
            "json",
            DataType::Utf8,
            &[("'{\"b\": 1,  \"a\":null}'", "{\"b\": 1,  \"a\":null}")],
        ),
        (
            "jsonb",
            DataType::Utf8,
            &[("'{\"b\":1,\"a\":null}'", "{\"a\": null, \"b\": 1}")],
        ),
        (
            "macaddr",
            DataType::Utf8,
            &[("'08002b:010203'", "08:00:2b:01:02:03")],
        ),
        (
            "macaddr8",
            DataType::Utf8,
            &[("'08002b0102030405'", "08:00:2b:01:02:03:04:05")],
        ),
    ];
    for case in cases {
        check(case, &world).await;
    }
    let binary: Case<'_> = (
        "bytea",
        DataType::Binary,
        &[("'\\x'", ""), ("'\\x00ff10'", "00ff10")],
    );
    check(binary, &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_saturate_where_arrow_ends() {
    let world = World::of(
        "CREATE TABLE t (n int, d date, ts timestamp, tz timestamptz, t time, i interval);
         INSERT INTO t VALUES
         (1, 'infinity', 'infinity', 'infinity', '24:00', interval '178000000 years 1 day 2 us'),
         (2, '-infinity', '-infinity', '-infinity', '23:59:59.999999', '-9223372036854 seconds'),
         (3, '5874897-12-31', '294276-12-31 23:59:59.999999', '294246-12-31 23:59:59.999999+00',
          '00:00', '9223372036.854775 seconds'),
         (4, '4713-01-01 BC', '4713-01-01 00:00:00 BC', '2024-02-29 12:00:00+05:30', '12:34:56.789',
          '-1 month +2 days -3 hours'),
         (5, '1970-01-01', '1970-01-01', '2000-01-01 00:00:00+00', NULL, NULL)",
    );
    let batch = all(&world.table("t").await).await;
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(batch.schema().field(3).data_type(), &utc);
    let days = batch.column(1).as_primitive::<Date32Type>();
    assert_eq!(
        days.values(),
        &[i32::MAX, i32::MIN, 2_145_042_905, -2_440_550, 0]
    );
    let micros = |column: usize| {
        batch
            .column(column)
            .as_primitive::<TimestampMicrosecondType>()
            .values()
            .to_vec()
    };
    assert_eq!(
        micros(2),
        [i64::MAX, i64::MIN, i64::MAX, -210_863_520_000_000_000, 0]
    );
    assert_eq!(
        micros(3),
        [
            i64::MAX,
            i64::MIN,
            9_223_371_244_799_999_999,
            1_709_188_200_000_000,
            946_684_800_000_000
        ]
    );
    assert_eq!(
        texts(&batch, "t"),
        [
            "23:59:59.999999",
            "23:59:59.999999",
            "00:00:00",
            "12:34:56.789",
            "NULL"
        ]
    );
    let spans = batch.column(5).as_primitive::<IntervalMonthDayNanoType>();
    let parts: Vec<_> = spans
        .iter()
        .flatten()
        .map(|s| (s.months, s.days, s.nanoseconds))
        .collect();
    assert_eq!(
        parts,
        [
            (2_136_000_000, 1, 2_000),
            (0, 0, i64::MIN),
            (0, 0, 9_223_372_036_854_775_000),
            (-1, 2, -10_800_000_000_000),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrays_are_lists_of_all_their_elements() {
    let world = World::of("CREATE TYPE mood AS ENUM ('sad', 'ok')");
    let list = |of: DataType| DataType::new_list(of, true);
    let cases: [Case<'_>; 7] = [
        (
            "int[]",
            list(DataType::Int32),
            &[
                ("'{}'", "[]"),
                ("'{1,NULL,3}'", "[1, NULL, 3]"),
                ("'{{1,2},{3,4}}'", "[1, 2, 3, 4]"),
                ("'[5:6]={7,8}'", "[7, 8]"),
                ("'[0:0][3:4]={{1,NULL}}'", "[1, NULL]"),
            ],
        ),
        (
            "text[]",
            list(DataType::Utf8),
            &[("ARRAY['', 'a,b', NULL]", "[, a,b, NULL]")],
        ),
        (
            "mood[]",
            list(DataType::Utf8),
            &[("ARRAY['ok'::mood]", "[ok]")],
        ),
        (
            "numeric(4, 1)[]",
            list(DataType::Decimal128(4, 1)),
            &[("'{1.5,NaN,-999.9}'", "[1.5, NULL, -999.9]")],
        ),
        (
            "jsonb[]",
            list(DataType::Utf8),
            &[("ARRAY['1'::jsonb]", "[1]")],
        ),
        (
            "inet[]",
            list(DataType::Utf8),
            &[("'{10.0.0.1/8}'", "[10.0.0.1/8]")],
        ),
        (
            "bool[][]",
            list(DataType::Boolean),
            &[("'{{t},{f}}'", "[true, false]")],
        ),
    ];
    for case in cases {
        check(case, &world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_and_numerics_are_as_postgres_has_them() {
    // A view shows each value twice: as itself, and as PostgreSQL prints or rounds it.
    let world = World::of(
        "CREATE TABLE t AS SELECT n,
             (CASE n % 3
                  WHEN 0 THEN concat_ws('.', n % 256, n % 7, n % 11, n % 13) || '/' || n % 33
                  WHEN 1 THEN concat_ws(':', to_hex(n % 3), to_hex((n / 3) % 2), 0, 0,
                                        to_hex((n / 6) % 2), 0, to_hex((n / 12) % 2),
                                        to_hex(n % 65536))
                  ELSE '::' || CASE n % 4 WHEN 0 THEN 'ffff:' WHEN 1 THEN '0:' ELSE '' END
                       || to_hex((n / 4) % 3) || ':' || to_hex(n % 65536) || '/' || n % 129
              END)::inet AS address,
             (power(-7.3::numeric, n % 40) * n / (1 + n % 97)
                 * power(10::numeric, n % 41 - 20)) AS price
         FROM generate_series(0, 5000) AS n;
         INSERT INTO t VALUES (-1, '1.2.3.4', 'NaN'), (-2, '1.2.3.4', 'Infinity'),
             (-3, '1.2.3.4', '-Infinity'), (-4, '::', 9007199254740993), (-5, '::1', 5e-324),
             (-6, '::1', 1.7976931348623157e308);
         CREATE VIEW v AS SELECT address, concat(address) AS address_text,
             network(address) AS net, concat(network(address)) AS net_text,
             price, price::float8 AS price_float, price AS price_text,
             (price % 1000000000)::numeric(40, 11) AS cut,
             ((price % 1000000000)::numeric(40, 11))::text AS cut_text FROM t",
    );
    let columns = [
        ("address", None),
        ("address_text", None),
        ("net", None),
        ("net_text", None),
        ("price", Some("double")),
        ("price_float", None),
        ("price_text", Some("text")),
        ("cut_text", None),
    ];
    let table = world.open(&wanted("v", &columns)).await.unwrap();
    let batch = all(&table).await;
    assert_eq!(batch.num_rows(), 5007);
    assert_eq!(texts(&batch, "address"), texts(&batch, "address_text"));
    assert_eq!(texts(&batch, "net"), texts(&batch, "net_text"));
    let doubles = |name: &str| {
        let values: &Float64Array = batch
            .column_by_name(name)
            .unwrap()
            .as_primitive::<Float64Type>();
        values
            .iter()
            .map(|value| value.map(f64::to_bits))
            .collect::<Vec<_>>()
    };
    assert_eq!(doubles("price"), doubles("price_float"));
    let of_text = texts(&batch, "price_text");
    let parsed = of_text
        .iter()
        .map(|text| text.parse::<f64>().map(f64::to_bits).ok());
    assert_eq!(parsed.collect::<Vec<_>>(), doubles("price"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decimals_are_as_postgres_prints_them() {
    let scales = [
        (38, 0),
        (38, 1),
        (38, 2),
        (38, 3),
        (38, 11),
        (60, 4),
        (76, 17),
    ];
    let columns = scales.map(|(p, s)| format!("value::numeric({p}, {s}) AS c_{s}"));
    let prints = scales.map(|(p, s)| format!("value::numeric({p}, {s})::text AS t_{s}"));
    let world = World::of(&format!(
        "CREATE TABLE t AS SELECT {}, {} FROM (
             SELECT (CASE WHEN n % 2 = 0 THEN -1 ELSE 1 END) * n * power(10::numeric, n % 43 - 21)
                 + n % 10001 AS value FROM generate_series(0, 5000) AS n
         ) AS made",
        columns.join(", "),
        prints.join(", ")
    ));
    let batch = all(&world.table("t").await).await;
    for (_, scale) in scales {
        let (read, printed) = (
            texts(&batch, &format!("c_{scale}")),
            texts(&batch, &format!("t_{scale}")),
        );
        assert_eq!(read, printed, "scale {scale}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_without_a_place_in_arrow_are_text_by_choice_and_refused_without() {
    let world = World::of(
        "CREATE TYPE pair AS (a int, b text);
         CREATE TABLE t (cost money, bits bit(3), span int4range, both_of pair, doc xml,
             words tsvector, tz timetz, spot point, price numeric, prices numeric[], spots point[]);
         INSERT INTO t VALUES (12.5, B'101', '[1,5)', (1, 'x y'), '<a/>', 'fat cat',
             '12:00:00+05:30', '(1,2)', 1.50, '{1.50}', ARRAY[point '(1,2)', NULL])",
    );
    let expected = [
        ("cost", "$12.50"),
        ("bits", "101"),
        ("span", "[1,5)"),
        ("both_of", "(1,\"x y\")"),
        ("doc", "<a/>"),
        ("words", "'cat' 'fat'"),
        ("tz", "12:00:00+05:30"),
        ("spot", "(1,2)"),
        ("price", "1.50"),
        ("prices", "{1.50}"),
        ("spots", "{\"(1,2)\",NULL}"),
    ];
    let chosen = expected.map(|(name, _)| (name, Some("text")));
    let batch = all(&world.open(&wanted("t", &chosen)).await.unwrap()).await;
    for (name, text) in expected {
        assert_eq!(texts(&batch, name), [text], "{name}");
        let refused = world.open(&wanted("t", &[(name, None)])).await;
        assert_refused(refused, &format!("column `{name}` is "));
    }
    let mut items = column("spots", None);
    items.items = Some(Box::new(column("", Some("text"))));
    let mut doubles = column("prices", None);
    doubles.items = Some(Box::new(column("", Some("double"))));
    let columns = Some(vec![items, doubles]);
    let nested = Wanted {
        table: "t".to_owned(),
        columns,
    };
    let batch = all(&world.open(&nested).await.unwrap()).await;
    assert_eq!(texts(&batch, "spots"), ["[(1,2), NULL]"]);
    assert_eq!(texts(&batch, "prices"), ["[1.5]"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_14_bytes_that_are_no_rows_end_a_scan_and_break_nothing() {
    let world = World::of(
        "CREATE TYPE mood AS ENUM ('ok');
         CREATE TABLE t (a bool, b int2, c int4, d int8, e float4, f float8, g numeric(12, 3),
             h numeric(60, 3), i text, j jsonb, k uuid, l inet, m macaddr, n bytea, o date, p time,
             q timestamptz, r interval, s oid, u mood, v \"char\", w numeric(9, 2)[], x text[]);
         INSERT INTO t VALUES (true, 1, 2, 3, 4, 5, -123456.789, 98765.4, 'text', '[1]',
             'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.0/8', '08:00:2b:01:02:03', '\\xff00',
             '2024-02-29', '12:00', '2024-02-29 12:00+00', '1 mon 2 days 3 us', 7, 'ok', 'z',
             '{1.25,NULL,-3}', '{{a,b},{c,NULL}}')",
    );
    let database = world
        .sources
        .database(&world.at, Some(&world.credential))
        .unwrap();
    let found = Table::look_up(&database, "public", &Wanted::all("t"))
        .await
        .unwrap();
    let columns: Vec<_> = found.columns.iter().cloned().collect();
    let schema = world.table("t").await.schema();
    let client = world.database.client().await;
    let copy = client
        .copy_out("COPY t TO STDOUT (FORMAT binary)")
        .await
        .unwrap();
    let messages: Vec<_> = copy.try_collect().await.unwrap();
    let row = messages.concat();
    let decode = |bytes: &[u8]| {
        let mut decoder = Decoder::new(&columns, Arc::clone(&schema)).unwrap();
        decoder.decode(bytes).ok()?;
        decoder.is_complete().then(|| decoder.batch().unwrap())
    };
    assert_eq!(decode(&row).unwrap().num_rows(), 1);
    for length in 0..row.len() {
        assert!(decode(&row[..length]).is_none(), "cut after {length} bytes");
    }
    let mut refused = 0;
    for place in 0..row.len() {
        for byte in [
            0x00,
            0x01,
            0x7f,
            0x80,
            0xff,
            !row[place],
            row[place].wrapping_add(1),
        ] {
            let mut spoiled = row.clone();
            spoiled[place] = byte;
            refused += usize::from(decode(&spoiled).is_none());
        }
    }
    assert!(refused > row.len(), "{refused}");
}
