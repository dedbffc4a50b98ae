//! Where contracts say that their data lie.

use scrim_document::{MapReader, Node, Problems, SourceFile};

use crate::{
    Addressing, BadRows, ContractDocument, Documents, FileFormat, FilePlace, FileServer,
    PostgresServer, PostgresTls, Server, ServerKind, SourceEntry, TableVersion, read_source,
};

fn parse(servers: &str) -> Result<ContractDocument, Problems> {
    let servers: Vec<_> = servers.lines().map(|line| format!("  {line}\n")).collect();
    let text = format!(
        "apiVersion: v3.1.0
kind: DataContract
id: c
version: 1.0.0
status: active
servers:
{}schema: [{{name: t, properties: [{{name: a}}]}}]
customProperties:
  - {{property: accessPolicy, value: {{purposes: [p], profiles: {{}}}}}}
",
        servers.concat()
    );
    let documents = Documents::parse(vec![SourceFile::new("c.yaml", text)])?;
    Ok(documents.contracts().next().unwrap().clone())
}

/// The one server of a contract.
fn server(entry: &str) -> Server {
    let contract = parse(entry).unwrap_or_else(|problems| panic!("{entry}: {problems}"));
    assert_eq!(contract.servers.len(), 1, "{entry}");
    contract.servers[0].clone()
}

/// What is wrong with an entry.
fn problems(entry: &str) -> String {
    match parse(entry) {
        Ok(contract) => panic!("{entry}: {:?}", contract.servers),
        Err(problems) => problems.to_string(),
    }
}

/// An entry of flow style with custom properties.
fn entry(keys: &str, custom: &[(&str, &str)]) -> String {
    let custom: Vec<_> = custom
        .iter()
        .map(|(name, value)| format!("{{property: {name}, value: {value}}}"))
        .collect();
    format!(
        "- {{server: s, {keys}, customProperties: [{}]}}",
        custom.join(", ")
    )
}

fn files(server: &Server) -> &FileServer {
    match &server.kind {
        ServerKind::Files(files) => files,
        ServerKind::Postgres(_) => panic!("{server:?}"),
    }
}

#[test]
fn every_kind_of_place_is_read() {
    let local = server(&entry(
        "type: local, path: data/*.parquet, format: parquet",
        &[],
    ));
    let place = FilePlace::Local {
        path: "data/*.parquet".to_owned(),
    };
    let format = FileFormat::Parquet;
    assert_eq!(*files(&local), FileServer { place, format });
    assert_eq!(local.credentials, None);

    let lake = server(&entry(
        "type: s3, environment: prod, location: 's3://lake/visits/', endpointUrl: 'https://minio:9000', format: parquet",
        &[
            ("credentials", "lake"),
            ("region", "eu-west-1"),
            ("addressing", "virtual"),
            ("team", "[a]"),
        ],
    ));
    let place = FilePlace::S3 {
        location: "s3://lake/visits/".to_owned(),
        endpoint_url: Some("https://minio:9000".to_owned()),
        region: Some("eu-west-1".to_owned()),
        addressing: Addressing::VirtualHost,
    };
    assert_eq!(files(&lake).place, place);
    assert_eq!(lake.credentials.as_deref(), Some("lake"));
    assert_eq!(lake.environment.as_deref(), Some("prod"));

    let azure = server(&entry(
        "type: azure, location: 'az://acc.blob.core.windows.net/box/a/*.parquet', format: parquet",
        &[("endpointUrl", "'http://127.0.0.1:10000/acc'")],
    ));
    let place = FilePlace::Azure {
        location: "az://box@acc.blob.core.windows.net/a/*.parquet".to_owned(),
        endpoint_url: Some("http://127.0.0.1:10000/acc".to_owned()),
    };
    assert_eq!(files(&azure).place, place);

    let google = server(&entry(
        "type: custom, location: 'gs://box/a/', format: arrow",
        &[],
    ));
    let place = FilePlace::Gcs {
        location: "gs://box/a/".to_owned(),
        endpoint_url: None,
    };
    let format = FileFormat::Arrow;
    assert_eq!(*files(&google), FileServer { place, format });

    let web = server(&entry(
        "type: custom, location: 'https://data.example/zip.csv', format: csv",
        &[],
    ));
    let place = FilePlace::Http {
        location: "https://data.example/zip.csv".to_owned(),
    };
    assert_eq!(files(&web).place, place);
}

#[test]
fn every_format_is_read_with_what_it_needs() {
    let local = |format: &str, custom: &[(&str, &str)]| {
        let keys = format!("type: local, path: a, format: {format}");
        files(&server(&entry(&keys, custom))).format.clone()
    };
    let csv = |delimiter, bad_rows| FileFormat::Csv {
        delimiter,
        bad_rows,
    };
    assert_eq!(local("csv", &[]), csv(',', BadRows::Fail));
    let semicolons = [("delimiter", "';'"), ("badRows", "skip")];
    assert_eq!(local("csv", &semicolons), csv(';', BadRows::Skip));
    assert_eq!(
        local("csv", &[("delimiter", "tab")]),
        csv('\t', BadRows::Fail)
    );
    assert_eq!(
        local("csv", &[("delimiter", "\"\\t\"")]),
        csv('\t', BadRows::Fail)
    );
    let keys = "type: s3, location: 's3://box/a.csv', format: csv, delimiter: '|'";
    assert_eq!(
        files(&server(&entry(keys, &[]))).format,
        csv('|', BadRows::Fail)
    );
    for format in ["json", "jsonl", "ndjson"] {
        let lines = FileFormat::JsonLines {
            bad_rows: BadRows::Fail,
        };
        assert_eq!(local(format, &[("delimiter", "new_line")]), lines);
    }
    assert_eq!(local("delta", &[]), FileFormat::Delta(TableVersion::Latest));
    for version in ["7", "'7'"] {
        let delta = FileFormat::Delta(TableVersion::Number(7));
        assert_eq!(local("delta", &[("version", version)]), delta);
    }
    let then = "2026-03-02T12:00:00Z";
    let delta = FileFormat::Delta(TableVersion::AsOf(then.to_owned()));
    assert_eq!(local("delta", &[("asOf", then)]), delta);
}

const DATABASE: &str = "host: db.internal, port: 5433, database: hospital, schema: care";

#[test]
fn a_database_is_protected_unless_the_owner_says_otherwise() {
    let database = |tls| {
        ServerKind::Postgres(PostgresServer {
            host: "db.internal".to_owned(),
            port: 5433,
            database: "hospital".to_owned(),
            schema: "care".to_owned(),
            tls,
        })
    };
    for kind in ["postgres", "postgresql"] {
        let read = |custom: &[(&str, &str)]| {
            server(&entry(&format!("type: {kind}, {DATABASE}"), custom)).kind
        };
        let verified = |ca: Option<&str>| {
            let ca = ca.map(str::to_owned);
            database(PostgresTls::VerifyFull { ca })
        };
        assert_eq!(read(&[]), verified(None));
        assert_eq!(read(&[("tls", "verify-full")]), verified(None));
        assert_eq!(
            read(&[("tlsCa", "certs/ca.pem")]),
            verified(Some("certs/ca.pem"))
        );
        assert_eq!(read(&[("tls", "off")]), database(PostgresTls::Off));
    }
    for host in ["/var/run/postgresql", "'::1'", "10.0.0.7"] {
        let keys = DATABASE.replace("db.internal", host);
        server(&entry(&format!("type: postgres, {keys}"), &[]));
    }
}

#[test]
fn each_mistake_in_an_entry_has_its_place_and_a_hint() {
    let files = |more: &str| format!("type: s3, location: 's3://b/a', {more}");
    let said = [
        problems(&entry("type: local, format: parquet", &[])),
        problems(&entry("type: s3, location: 'b/a', format: parquet", &[])),
        problems(&entry(
            &files("format: avro, endpointUrl: 'minio:9000'"),
            &[],
        )),
        problems(&entry(
            &files("format: parquet"),
            &[("addressing", "virtal"), ("region", "7")],
        )),
        problems(&entry(
            &files("format: csv, delimiter: ';;'"),
            &[("badRows", "ignore")],
        )),
        problems(&entry(&files("format: json, delimiter: array"), &[])),
        problems(&entry(&files("format: delta"), &[("version", "-1")])),
        problems(&entry(&files("format: delta"), &[("asOf", "yesterday")])),
        problems(&entry(
            &files("format: delta"),
            &[("version", "1"), ("asOf", "x")],
        )),
        problems(&entry(
            "type: azure, location: 's3://b/a', format: csv",
            &[],
        )),
        problems(&entry(
            "type: postgres, host: 'db:5432', port: 0, database: d",
            &[],
        )),
        problems(&entry(
            &format!("type: postgres, {DATABASE}"),
            &[("tls", "no"), ("tlsCa", "7")],
        )),
        problems(&entry(
            &format!("type: postgres, {DATABASE}"),
            &[("tls", "off"), ("tlsCa", "a")],
        )),
        problems("- {server: s, type: local, path: a, format: csv, customProperties: 7}"),
        problems(&entry(
            &files("format: csv"),
            &[("credentials", "''"), ("region", "a"), ("region", "b")],
        )),
    ];
    insta::assert_snapshot!(said.join("\n"), @r#"
    c.yaml:7:5: the key `path` is missing
    c.yaml:7:37: expected an address like s3://bucket/path/*.parquet
    c.yaml:7:57: files of the format `avro` are not read (help: we read parquet, csv, json (one object in each line), arrow and delta)
    c.yaml:7:76: expected an address like https://host:9000
    c.yaml:7:115: `addressing` is `path` or `virtual`, not `virtal` (help: did you mean `virtual`?)
    c.yaml:7:150: expected text, found a whole number (help: put it in quotes)
    c.yaml:7:73: a delimiter is one ASCII character (help: write it like ";", or `tab`)
    c.yaml:7:74: JSON is read with one object in each line (help: write `delimiter: new_line`, or leave it out)
    c.yaml:7:110: expected the number of a version, 0 or more
    c.yaml:7:107: `yesterday` is no instant (help: write it like 2026-03-02T23:00:00Z)
    c.yaml:7:138: `version` and `asOf` cannot both hold (help: remove one of them)
    c.yaml:7:40: expected an address like abfss://container@account.dfs.core.windows.net/path/*.parquet
    c.yaml:7:5: the key `schema` is missing
    c.yaml:7:39: `db:5432` is no host (help: write its name or address alone; the port and the database have keys of their own)
    c.yaml:7:56: expected a port from 1 to 65535
    c.yaml:7:140: `tls` is `verify-full` or `off`, not `no`
    c.yaml:7:170: expected text, found a whole number (help: put it in quotes)
    c.yaml:7:171: `tlsCa` has no use with `tls: off` (help: remove one of them)
    c.yaml:7:70: expected a list, found a whole number
    c.yaml:7:112: expected text, found none
    c.yaml:7:147: the custom property `region` stands here twice
    "#);
}

#[test]
fn what_we_cannot_read_is_a_problem_only_where_it_is_needed() {
    let two =
        "- {server: a, type: snowflake, environment: prod, account: x, database: d, schema: s}
- {server: b, type: custom, environment: lab, location: 'hdfs://a/b', format: parquet}
- {server: c, type: local, environment: test, path: a.csv, format: csv}";
    let contract = parse(two).unwrap();
    assert_eq!(contract.server(Some("test")).unwrap().name, "c");
    let said = [Some("prod"), Some("lab"), None]
        .map(|environment| contract.server(environment).unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"), @r"
    c.yaml:7:5: servers of type `snowflake` are not read (help: we read local, s3, azure, postgres, and custom with a location that starts with gs:// or https://)
    c.yaml:8:5: servers of type `custom` are not read (help: we read local, s3, azure, postgres, and custom with a location that starts with gs:// or https://)
    c.yaml:7:5: servers of type `snowflake` are not read (help: we read local, s3, azure, postgres, and custom with a location that starts with gs:// or https://)
    ");
}

/// The values of secrets are in none of the messages, and in no line that is shown with them.
#[test]
fn inv_15_credentials_in_a_contract_are_refused_without_repeating_them() {
    let database = format!("type: postgres, {DATABASE}");
    let s3 = "type: s3, format: parquet";
    for entry in [
        entry(&format!("{database}, password: hunter2"), &[]),
        entry(&database, &[("password", "hunter2")]),
        entry(&database, &[("user", "hunter2")]),
        entry(s3, &[("secretAccessKey", "hunter2")]),
        entry(s3, &[("secret_access_key", "hunter2")]),
        entry(&format!("{s3}, location: 's3://key:hunter2@box/a'"), &[]),
        entry(
            &format!("{s3}, location: 's3://box/a', endpointUrl: 'https://a:hunter2@minio'"),
            &[],
        ),
        entry(
            "type: custom, format: csv, location: 'https://a/b.csv?sig=hunter2'",
            &[],
        ),
        entry(
            "type: azure, format: csv, location: 'abfss://box:hunter2@a.dfs.core.windows.net/b'",
            &[],
        ),
        entry(&database.replace("db.internal", "'me:hunter2@db'"), &[]),
    ] {
        let problems = parse(&entry).map(drop).unwrap_err();
        let said = problems.to_string();
        assert!(
            said.contains("c.yaml:7:") && said.contains("credentials: NAME"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
        assert!(
            !problems.render().contains("hunter2"),
            "{}",
            problems.render()
        );
        assert!(
            problems.render().contains("c.yaml:7:"),
            "{}",
            problems.render()
        );
    }
}

/// A look-up table's entry in the configuration.
fn source(text: &str) -> Result<SourceEntry, String> {
    let node = Node::parse(&SourceFile::new("scrim.yaml", text)).unwrap();
    let mut problems = Problems::default();
    let mut map = MapReader::new(&node, &crate::SOURCE, &mut problems).unwrap();
    let read = read_source(&node, &mut map, &mut problems);
    map.finish(&mut problems);
    match read {
        Some(read) if problems.is_empty() => Ok(read),
        _ => Err(problems.to_string()),
    }
}

#[test]
fn a_configuration_describes_sources_by_the_same_words_in_one_map() {
    let read = source(
        "{type: s3, location: 's3://box/a.csv', format: csv, delimiter: ';', credentials: lake, \
         region: eu, badRows: skip, endpointUrl: 'http://127.0.0.1:9000'}",
    );
    let place = FilePlace::S3 {
        location: "s3://box/a.csv".to_owned(),
        endpoint_url: Some("http://127.0.0.1:9000".to_owned()),
        region: Some("eu".to_owned()),
        addressing: Addressing::Path,
    };
    let format = FileFormat::Csv {
        delimiter: ';',
        bad_rows: BadRows::Skip,
    };
    let expected = SourceEntry {
        kind: ServerKind::Files(FileServer { place, format }),
        credentials: Some("lake".to_owned()),
    };
    assert_eq!(read, Ok(expected));
    let read = source(&format!("{{type: postgres, {DATABASE}, tls: off}}")).unwrap();
    let ServerKind::Postgres(database) = read.kind else {
        panic!("{read:?}")
    };
    assert_eq!(database.tls, PostgresTls::Off);
    let said = [
        source("{type: oracle, host: a}"),
        source("{type: local, path: a, format: csv, regio: x, password: hunter2}"),
        source("{type: postgres, region: eu}"),
    ];
    insta::assert_snapshot!(said.map(Result::unwrap_err).join("\n"), @r"
    scrim.yaml:1:1: sources of the type `oracle` are not read (help: we read local, s3, azure, postgres, and custom with a location that starts with gs:// or https://)
    scrim.yaml:1:47: `password`: credentials do not stand here (help: write `credentials: NAME`, a custom property in a contract, and put its values into the secrets file of scrim.yaml or the environment)
    scrim.yaml:1:1: the key `host` is missing
    scrim.yaml:1:1: the key `port` is missing
    scrim.yaml:1:1: the key `database` is missing
    scrim.yaml:1:1: the key `schema` is missing
    scrim.yaml:1:18: unknown key `region` (help: known keys are credentials, database, host, port, schema, tls, tlsCa, type)
    ");
}
