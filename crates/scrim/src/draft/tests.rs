use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema};
use scrim_document::SourceFile;
use scrim_policy::{Documents, ServerKind};
use scrim_sources::{Sample, SampledColumn};

use super::source::{Said, Source};
use super::*;

fn sample(columns: Vec<(&str, ArrayRef)>) -> Sample {
    let sampled = columns.iter().map(|(name, values)| SampledColumn {
        name: (*name).to_owned(),
        data_type: values.data_type().clone(),
        declared: None,
        elements: None,
        printed: None,
        required: false,
        key: None,
    });
    let sampled = sampled.collect();
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, values)| Field::new(*name, values.data_type().clone(), true))
        .collect();
    let values = columns.into_iter().map(|(_, values)| values).collect();
    Sample {
        columns: sampled,
        batches: vec![RecordBatch::try_new(Arc::new(Schema::new(fields)), values).unwrap()],
        rows: Some(12_345),
    }
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value; 4]))
}

fn draft(from: &str, said: &Said, sample: &Sample) -> String {
    let source = Source::parse(from, Path::new("."), said).unwrap();
    let draft = Draft {
        source: &source,
        environment: Some("demo"),
        credentials: Some("lake"),
        sample,
    };
    draft.write().unwrap()
}

fn contact() -> ArrayRef {
    let fields = Fields::from(vec![
        Field::new("e-mail", DataType::Utf8, true),
        Field::new("phone", DataType::Utf8, true),
        Field::new("since", DataType::Utf8, true),
    ]);
    let values = vec![text("a@example.org"), text("+49 30 901820"), text("x")];
    Arc::new(StructArray::new(fields, values, None))
}

fn tags() -> ArrayRef {
    let lists = vec![Some(vec![Some(4_111_111_111_111_111)]); 4];
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
}

#[test]
fn a_draft_says_everything_and_shows_nothing() {
    let mut sample = sample(vec![
        ("visit_id", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
        ("PatientID", text("P-1")),
        ("holder_email", text("anna@example.org")),
        ("contact", contact()),
        ("cards", tags()),
        ("yes", text("x")),
    ]);
    if let Some(first) = sample.columns.first_mut() {
        first.required = true;
        first.key = Some(1);
        first.declared = Some("numeric(12,0)".to_owned());
    }
    let text = draft("data/visits/*.parquet", &Said::default(), &sample);
    let expected = include_str!("tests/visits.odcs.yaml");
    for (number, (is, should)) in (1..).zip(text.lines().zip(expected.lines())) {
        assert_eq!(is, should, "line {number} of\n{text}");
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "{text}");
}

#[test]
fn every_kind_of_server_is_read_as_it_was_written() {
    let sample = sample(vec![("x", text("y"))]);
    let said = |endpoint: Option<&str>, region: Option<&str>| Said {
        endpoint_url: endpoint.map(str::to_owned),
        region: region.map(str::to_owned),
        table: Some("odd name".to_owned()),
        ..Said::default()
    };
    let endpoint = Some("http://127.0.0.1:9000");
    for (from, said) in [
        ("data/a b/*.csv", said(None, None)),
        ("s3://lake/visits/", said(endpoint, Some("eu-west-1"))),
        ("s3://lake/*.jsonl", said(None, None)),
        ("postgres://anna@db.example.org/care", said(None, None)),
    ] {
        let text = draft(from, &said, &sample);
        let file = SourceFile::new("x.odcs.yaml", text.clone());
        let documents = Documents::parse(vec![file]).unwrap_or_else(|p| panic!("{p}\n{text}"));
        let contract = documents.contracts().next().unwrap();
        assert_eq!(contract.physical_name, "odd name");
        assert_eq!(contract.name.to_string(), "scrim.public.odd_name");
        let server = contract.server(Some("demo")).unwrap();
        let source = Source::parse(from, Path::new("."), &said).unwrap();
        assert_eq!(server.kind, source.kind, "{text}");
        assert_eq!(server.credentials.as_deref(), Some("lake"));
        if let ServerKind::Postgres(_) = server.kind {
            assert!(!text.contains("anna"), "{text}");
        }
    }
}

#[test]
fn strange_names_do_no_harm() {
    let names = [
        "a: b", "a\nb", "a # b", "- a", "\"", "a.b", "a[]", "", "ü", "null", "*",
    ];
    let columns = names
        .iter()
        .map(|name| (*name, text("anna@example.org")))
        .collect();
    let text = draft("a\u{301} #b/c: d.csv", &Said::default(), &sample(columns));
    let file = SourceFile::new("x.odcs.yaml", text.clone());
    let documents = Documents::parse(vec![file]).unwrap_or_else(|p| panic!("{p}\n{text}"));
    let contract = documents.contracts().next().unwrap();
    let physical: Vec<_> = contract
        .properties
        .iter()
        .map(|p| p.physical_name.as_str())
        .collect();
    let expected: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    assert_eq!(physical, expected);
    assert!(
        contract
            .properties
            .iter()
            .all(|p| p.tags == ["direct-identifier"]),
        "{text}"
    );
}
