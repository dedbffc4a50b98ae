//! CSV and JSON lines.

use async_compression::tokio::write::GzipEncoder;
use datafusion::prelude::col;
use scrim_engine::FaultKind;
use tokio::io::AsyncWriteExt;

use super::*;

async fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(bytes).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

#[tokio::test]
async fn a_csv_file_is_read_with_the_types_it_seems_to_have() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "partner,suppkey,none\nacme,1,\nacme,2,\n");
    let table = scratch.table("a.csv", csv(BadRows::Fail), &[]).await;
    assert_eq!(
        types(&table),
        ["partner Utf8", "suppkey Int64", "none Utf8"]
    );
    assert_eq!(all(&table).await.unwrap(), ["acme|1|NULL", "acme|2|NULL"]);
}

#[tokio::test]
async fn a_csv_file_is_read_with_the_declared_types() {
    let scratch = Scratch::new();
    let text = "\u{feff}id,when,\"who, \"\"x\"\"\",amount,day,ok,at,extra\r\n\
        1,2024-01-02T03:04:05Z,\"a\r\nb \"\"c\"\", d\",12.30,2024-02-29,true,10:11:12,?\r\n\
        \r\n\
        2,2024-01-02 03:04:05+02:00,\"\",-0.01,,,,?\r\n\
        3,,it\"s,,,,,?";
    scratch.write("a.csv", text);
    let wanted = [
        ("amount", "number DECIMAL(10,2)"),
        ("id", "integer"),
        ("who, \"x\"", "string"),
        ("when", "timestamp timestamptz"),
        ("day", "date"),
        ("ok", "boolean"),
        ("at", "time"),
    ];
    let opened = scratch
        .open(
            "a.csv",
            csv(BadRows::Fail),
            Some(wanted.map(|(name, kind)| column(name, kind)).to_vec()),
        )
        .await
        .unwrap();
    assert_eq!(opened.extra, ["extra"]);
    let expected = [
        "-0.01|2|NULL|2024-01-02T01:04:05Z|NULL|NULL|NULL",
        "12.30|1|a\r\nb \"c\", d|2024-01-02T03:04:05Z|2024-02-29|true|10:11:12",
        "NULL|3|it\"s|NULL|NULL|NULL|NULL",
    ];
    assert_eq!(all(&opened.table).await.unwrap(), expected);
    let filter = col("amount").is_not_null();
    let rows = query(&opened.table, &["id"], Some(filter)).await.unwrap();
    assert_eq!(rows, ["1", "2"]);
}

#[tokio::test]
async fn fields_can_stand_apart_by_any_byte() {
    let scratch = Scratch::new();
    scratch.write("a.tsv", "a\tb\n1\t\"x\ty\"\n\t\n");
    let format = FileFormat::Csv {
        delimiter: '\t',
        bad_rows: BadRows::Fail,
    };
    let table = scratch.table("a.tsv", format, &[]).await;
    assert_eq!(all(&table).await.unwrap(), ["1|x\ty", "NULL|NULL"]);
}

#[tokio::test]
async fn files_of_a_table_may_have_their_columns_in_another_order() {
    let scratch = Scratch::new();
    scratch.write("t/1.csv", "a,b\n1,x\n");
    scratch.write("t/k=2/2.csv.gz", gzip(b"c,b,a\n9,y,2\n").await);
    scratch.write("t/3.csv", "a\n3\n");
    let wanted = [("b", "string"), ("a", "integer")];
    let table = scratch.table("t", csv(BadRows::Fail), &wanted).await;
    assert_eq!(all(&table).await.unwrap(), ["NULL|3", "x|1", "y|2"]);
    assert_eq!(query(&table, &[], None).await.unwrap().len(), 3);
}

/// Rows of which some do not fit, with the lines of those.
fn damaged() -> (String, Vec<u64>, usize) {
    let mut text = "id,amount,note\n".to_owned();
    let (mut bad, mut good) = (Vec::new(), 0);
    let mut line = 1;
    for row in 0..20_000 {
        line += 1;
        let (is_bad, one) = match row {
            20 => (true, "CANARY,1,x\n".to_owned()),
            21 => (true, "1,CANARY,x\n".to_owned()),
            500 => (true, "1,2\n".to_owned()),
            501 => (true, "1,2,3,4\n".to_owned()),
            9_000 => (true, "1,2,\u{1}\n".to_owned()),
            9_001 => (false, "1,,\"two\nlines\"\n".to_owned()),
            15_000 => (true, "99999999999999999999,1,x\n".to_owned()),
            other => (false, format!("{other},{other}.5,note {other}\n")),
        };
        if is_bad {
            bad.push(line);
        } else {
            good += 1;
        }
        line += one.matches('\n').count() as u64 - 1;
        text.push_str(&one);
    }
    (text, bad, good)
}

#[tokio::test]
async fn bad_rows_are_an_error_with_their_line_or_left_out() {
    let scratch = Scratch::new();
    let (text, bad, good) = damaged();
    // Broken UTF-8 in the place of the control character.
    let bytes: Vec<u8> = text
        .bytes()
        .map(|b| if b == 1 { 0xff } else { b })
        .collect();
    scratch.write("a.csv", &bytes);
    let wanted = [
        ("id", "integer"),
        ("amount", "number DECIMAL(12,1)"),
        ("note", "string"),
    ];
    let table = scratch.table("a.csv", csv(BadRows::Skip), &wanted).await;
    assert_eq!(all(&table).await.unwrap().len(), good);
    // Which rows there are does not depend on what is asked of them.
    for columns in [&["id"][..], &["note"], &["amount", "note"], &[]] {
        assert_eq!(
            query(&table, columns, None).await.unwrap().len(),
            good,
            "{columns:?}"
        );
    }
    let table = scratch.table("a.csv", csv(BadRows::Fail), &wanted).await;
    for columns in [&["id"][..], &["note"], &[]] {
        let (kind, text) = fault(query(&table, columns, None).await);
        assert_eq!(kind, FaultKind::Invalid);
        assert!(
            text.contains(&format!("a.csv: the row at line {} ", bad[0])),
            "{text}"
        );
        assert!(!text.contains("CANARY"), "{text}");
    }
    // Each of them alone.
    for line in bad {
        let is_other = |(number, _): &(u64, &[u8])| *number == 1 || *number == line;
        let lines = (1..).zip(bytes.split_inclusive(|b| *b == b'\n'));
        let kept: Vec<u8> = lines
            .filter(is_other)
            .flat_map(|(_, l)| l.to_vec())
            .collect();
        scratch.write("b.csv", &kept);
        let table = scratch.table("b.csv", csv(BadRows::Fail), &wanted).await;
        let (kind, text) = fault(all(&table).await);
        assert_eq!(kind, FaultKind::Invalid, "{text}");
        assert!(text.contains("line 2"), "{text}");
    }
}

#[tokio::test]
async fn what_a_row_holds_does_not_depend_on_its_neighbours() {
    let scratch = Scratch::new();
    // Odd values that a decoder could read in more than one way.
    let odd = "id,d,b,t\n1,1.005,yes,2024-01-01\n2,1e2,T,2024-01-01T00:00:00.5\n3,.5,0,2024-01-01 1:02:03\n";
    let wanted = [
        ("id", ""),
        ("d", "number DECIMAL(6,2)"),
        ("b", "boolean"),
        ("t", "timestamp"),
    ];
    for bad in ["", "x,y,z,w\n", "4,1\n"] {
        scratch.write("a.csv", format!("{odd}{bad}"));
        let table = scratch.table("a.csv", csv(BadRows::Skip), &wanted).await;
        let rows = query(&table, &["d", "b", "t"], None).await.unwrap();
        scratch.write("a.csv", odd);
        let alone = query(&table, &["d", "b", "t"], None).await.unwrap();
        assert_eq!(rows, alone, "{bad}");
        assert!(!alone.is_empty());
    }
}

#[tokio::test]
async fn quotes_that_are_never_closed_are_bad_rows() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "id,t\n1,x\n2,\"y\n3,z\n");
    let wanted = [("id", "integer"), ("t", "string")];
    let table = scratch.table("a.csv", csv(BadRows::Fail), &wanted).await;
    let (kind, text) = fault(all(&table).await);
    assert_eq!(kind, FaultKind::Invalid);
    assert!(text.contains("line 3"), "{text}");
    let table = scratch.table("a.csv", csv(BadRows::Skip), &wanted).await;
    assert_eq!(all(&table).await.unwrap(), ["1|x"]);
}

#[tokio::test]
async fn inv_14_a_record_without_end_is_refused() {
    let scratch = Scratch::new();
    let mut text = "id,t\n1,\"".to_owned();
    text.push_str(&"x\n".repeat(9 << 20));
    scratch.write("a.csv", &text);
    let wanted = Some(vec![column("id", "integer"), column("t", "string")]);
    let error = scratch
        .open("a.csv", csv(BadRows::Skip), wanted)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[tokio::test]
async fn a_csv_file_without_a_header_is_an_error() {
    let scratch = Scratch::new();
    for bytes in [&b""[..], b"\n\n", b"a,\xff\n", b"\"a\n"] {
        scratch.write("a.csv", bytes);
        let error = scratch
            .open("a.csv", csv(BadRows::Skip), None)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("header"), "{error}");
    }
    scratch.write("a.csv", "a,b\n");
    let table = scratch.table("a.csv", csv(BadRows::Fail), &[]).await;
    assert_eq!(types(&table), ["a Utf8", "b Utf8"]);
    assert!(all(&table).await.unwrap().is_empty());
    let (kind, text) = {
        scratch.write("a.csv", "a,c\n1,2\n");
        fault(all(&table).await)
    };
    assert_eq!(kind, FaultKind::Invalid, "{text}");
}

fn nested() -> Vec<WantedColumn> {
    let mut address = column("address", "object");
    address.fields = vec![column("city", "string"), column("zip", "integer")];
    let mut tags = column("tags", "array");
    tags.items = Some(Box::new(column("item", "string")));
    let mut visits = column("visits", "array");
    let mut visit = column("item", "object");
    visit.fields = vec![column("day", "date"), column("cost", "number DECIMAL(8,2)")];
    visits.items = Some(Box::new(visit));
    vec![
        column("id", "integer"),
        column("name", "string"),
        address,
        tags,
        visits,
    ]
}

#[tokio::test]
async fn json_lines_are_read_with_the_declared_types() {
    let scratch = Scratch::new();
    let text = r#"{"id": 1, "name": "Aé\n", "extra": [1], "address": {"zip": 12, "city": "X", "no": 1}}

        {"tags": ["a", null], "id": 2, "visits": [{"day": "2024-01-02", "cost": 12.30}, {"cost": 1}]}
        {"id": 3, "name": 12.50, "address": null, "tags": []}"#;
    scratch.write("a.json", text);
    scratch.write("b.jsonl.gz", gzip(text.as_bytes()).await);
    for path in ["a.json", "b.jsonl.gz"] {
        let opened = scratch
            .open(path, json(BadRows::Fail), Some(nested()))
            .await
            .unwrap();
        assert_eq!(opened.extra, ["extra"]);
        let expected = [
            "1|Aé\n|{city: X, zip: 12}|NULL|NULL",
            "2|NULL|NULL|[a, NULL]|[{day: 2024-01-02, cost: 12.30}, {day: NULL, cost: 1.00}]",
            "3|12.50|NULL|[]|NULL",
        ];
        assert_eq!(all(&opened.table).await.unwrap(), expected, "{path}");
        assert_eq!(
            query(&opened.table, &["id"], None).await.unwrap(),
            ["1", "2", "3"]
        );
        assert_eq!(query(&opened.table, &[], None).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn json_lines_have_the_types_they_seem_to_have() {
    let scratch = Scratch::new();
    let text = "{\"a\":1,\"b\":{\"c\":true}}\n{\"a\":2.5,\"d\":[null]}\n";
    scratch.write("a.json", text);
    let table = scratch.table("a.json", json(BadRows::Fail), &[]).await;
    let expected = ["a Float64", "b Struct(\"c\": Boolean)", "d List(Utf8)"];
    assert_eq!(types(&table), expected);
    let rows = all(&table).await.unwrap();
    assert_eq!(rows, ["1.0|{c: true}|NULL", "2.5|NULL|[NULL]"]);
}

#[tokio::test]
async fn bad_lines_of_json_are_an_error_with_their_line_or_left_out() {
    let scratch = Scratch::new();
    let good = r#"{"id":1,"visits":[{"cost":1}]}"#;
    for bad in [
        r#"{"id":"CANARY"}"#,
        r#"{"id":1.5}"#,
        r#"{"id":1"#,
        r#"{"id":1} {"id":2}"#,
        r#"{"id":1}}"#,
        r#"{"name":{"a":1}}"#,
        r#"{"visits":[{"cost":"CANARY"}]}"#,
        r#"{"visits":[{"day":"2024-13-01"}]}"#,
        r#"{"address":{"zip":"CANARY"}}"#,
        r#"{"tags":"CANARY"}"#,
        "[1]",
        "17",
        "CANARY",
        "\u{1}",
    ] {
        // Once in the middle of many, where neighbours could make up for it.
        for count in [0, 1, 300] {
            let lines = format!("{good}\n").repeat(count);
            let text = format!("{lines}{bad}\n{lines}");
            let bytes: Vec<u8> = text
                .bytes()
                .map(|b| if b == 1 { 0xff } else { b })
                .collect();
            scratch.write("a.json", bytes);
            let skip = json(BadRows::Skip);
            let opened = scratch.open("a.json", skip, Some(nested())).await.unwrap();
            let rows = all(&opened.table).await.unwrap();
            assert_eq!(rows.len(), 2 * count, "{bad} {count}");
            let fail = json(BadRows::Fail);
            let opened = scratch.open("a.json", fail, Some(nested())).await.unwrap();
            let (kind, text) = fault(query(&opened.table, &["name"], None).await);
            assert_eq!(kind, FaultKind::Invalid);
            assert!(
                text.contains(&format!("line {} ", count + 1)),
                "{bad}: {text}"
            );
            assert!(!text.contains("CANARY"), "{bad}: {text}");
        }
    }
}

#[tokio::test]
async fn two_broken_lines_do_not_make_a_good_one() {
    let scratch = Scratch::new();
    scratch.write("a.json", "{\"id\":1}{\"id\":2}\n{\"id\":\n3}\n{\"id\":4}\n");
    let table = scratch
        .table("a.json", json(BadRows::Skip), &[("id", "integer")])
        .await;
    assert_eq!(all(&table).await.unwrap(), ["4"]);
    scratch.write("a.csv", "id,n\n1\n2,2\r3,3\n4,4\n");
    let wanted = [("id", "integer"), ("n", "integer")];
    let table = scratch.table("a.csv", csv(BadRows::Skip), &wanted).await;
    assert_eq!(all(&table).await.unwrap(), ["4|4"]);
}

#[tokio::test]
async fn compressed_text_that_is_cut_is_an_error_and_never_fewer_rows() {
    let scratch = Scratch::new();
    let rows = (0..50_000).map(|id| format!("{id},{}", id * 7919 % 1_000_003));
    let text = rows.collect::<Vec<_>>().join("\n");
    let whole = gzip(format!("a,b\n{text}\n").as_bytes()).await;
    scratch.write("a.csv.gz", &whole);
    let table = scratch.table("a.csv.gz", csv(BadRows::Skip), &[]).await;
    assert_eq!(all(&table).await.unwrap().len(), 50_000);
    // Two in one file are one text.
    scratch.write("a.csv.gz", [&whole[..], &gzip(b"1,1\n").await].concat());
    assert_eq!(all(&table).await.unwrap().len(), 50_001);
    for length in [whole.len() / 2, whole.len() - 1, whole.len() - 8, 5] {
        scratch.write("a.csv.gz", &whole[..length]);
        let (kind, text) = fault(all(&table).await);
        assert_eq!(kind, FaultKind::Unavailable, "{length}: {text}");
    }
    scratch.write("a.csv.gz", b"a,b\n1,2\n");
    assert_eq!(fault(all(&table).await).0, FaultKind::Unavailable);
}
