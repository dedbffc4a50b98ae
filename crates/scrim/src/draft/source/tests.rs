use super::*;

fn parsed(from: &str, said: &Said) -> Result<Source, String> {
    Source::parse(from, Path::new("."), said)
}

fn table(name: &str) -> Said {
    Said {
        table: Some(name.to_owned()),
        ..Said::default()
    }
}

fn database(from: &str) -> PostgresServer {
    match parsed(from, &table("visits")).unwrap().kind {
        ServerKind::Postgres(server) => server,
        ServerKind::Files(files) => panic!("{files:?}"),
    }
}

#[test]
fn addresses_of_databases() {
    let server = database("postgres://anna@db.example.org:5433/care");
    assert_eq!(server.host, "db.example.org");
    assert_eq!(server.port, 5433);
    assert_eq!(server.database, "care");
    assert_eq!(server.schema, "public");
    assert_eq!(server.tls, PostgresTls::VerifyFull { ca: None });
    let server = database("postgresql://[::1]/care?sslmode=disable");
    assert_eq!((server.host.as_str(), server.port), ("::1", 5432));
    assert_eq!(server.tls, PostgresTls::Off);
    let server = database("postgres://%2Frun%2Fpostgresql/a%20b");
    assert_eq!(
        (server.host.as_str(), server.database.as_str()),
        ("/run/postgresql", "a b")
    );
    let server = database("postgres://h/care?sslmode=verify-full&sslrootcert=ca.pem");
    assert_eq!(
        server.tls,
        PostgresTls::VerifyFull {
            ca: Some("ca.pem".to_owned())
        }
    );
    let user = |from| parsed(from, &table("t")).unwrap().user;
    assert_eq!(user("postgres://a%2Bb+c@h/d").as_deref(), Some("a+b+c"));
    assert_eq!(user("postgres://h/d"), None);
}

#[test]
fn inv_15_no_message_repeats_an_address() {
    for from in [
        "postgres://anna:sesame@h/d",
        "postgres://h/d?password=sesame",
        "postgres://sesame",
        "postgres://sesame:x:y/d",
        "postgres://h/d?sslmode=sesame",
        "postgres://h/d?x=sesame",
        "s3://key:sesame@bucket/a",
        "https://anna:sesame@h/a.csv",
        "https://sesame@h/a.csv",
        "https://h/a.csv?signature=sesame",
        "ftp://sesame/a.csv",
        "file://sesame/a.csv",
    ] {
        let why = parsed(from, &table("t")).unwrap_err();
        assert!(!why.contains("sesame"), "{from}: {why}");
    }
}

#[test]
fn places_of_files() {
    let place = |from: &str, said: &Said| match parsed(from, said).unwrap().kind {
        ServerKind::Files(files) => files.place,
        ServerKind::Postgres(server) => panic!("{server:?}"),
    };
    let said = Said {
        endpoint_url: Some("http://127.0.0.1:9000".to_owned()),
        region: Some("eu-west-1".to_owned()),
        ..table("t")
    };
    assert_eq!(
        place("s3://lake/visits/", &said),
        FilePlace::S3 {
            location: "s3://lake/visits/".to_owned(),
            endpoint_url: Some("http://127.0.0.1:9000".to_owned()),
            region: Some("eu-west-1".to_owned()),
            addressing: Addressing::Path,
        }
    );
    let none = Said::default();
    assert!(matches!(
        place("abfss://box@acc.dfs.core.windows.net/a", &none),
        FilePlace::Azure { .. }
    ));
    assert!(matches!(
        place("gs://bucket/a", &none),
        FilePlace::Gcs { .. }
    ));
    assert!(matches!(
        place("https://h/a.parquet", &none),
        FilePlace::Http { .. }
    ));
    let local = |path: &str| FilePlace::Local {
        path: path.to_owned(),
    };
    assert_eq!(place("data/a.csv", &none), local("data/a.csv"));
    assert_eq!(place("./data/*.csv", &none), local("data/*.csv"));
    assert_eq!(place("/data/a.csv", &none), local("/data/a.csv"));
    assert_eq!(
        place("file:///data/a%20b.csv", &none),
        local("/data/a b.csv")
    );
    assert!(parsed("data/a.csv", &said).is_err());
    assert!(
        parsed(
            "gs://bucket/a",
            &Said {
                endpoint_url: None,
                ..said
            }
        )
        .is_err()
    );
}

#[test]
fn paths_start_at_the_folder_of_the_configuration() {
    let here = std::env::current_dir().unwrap();
    let path =
        |from: &str, base: &Path| match Source::parse(from, base, &Said::default()).unwrap().kind {
            ServerKind::Files(FileServer {
                place: FilePlace::Local { path },
                ..
            }) => path,
            other => panic!("{other:?}"),
        };
    assert_eq!(path("world/data/a.csv", &here.join("world")), "data/a.csv");
    assert_eq!(
        path("data/a.csv", Path::new("world")),
        here.join("data/a.csv").display().to_string()
    );
}

#[test]
fn formats_and_tables_are_guessed_by_names() {
    for (from, format, table) in [
        ("data/claims.parquet", Some(FileKind::Parquet), "claims"),
        ("data/visits/*.parquet", Some(FileKind::Parquet), "visits"),
        ("data/a.csv.gz", Some(FileKind::Csv), "a"),
        ("s3://lake/raw/x.JSONL", Some(FileKind::Json), "x"),
        ("s3://lake/raw/year=2024/*", None, "raw"),
        ("s3://lake/", None, "lake"),
        ("s3://lake.example.org/visits/", None, "visits"),
        ("https://h.example.org/a.arrow", Some(FileKind::Arrow), "a"),
        ("../visits", None, "visits"),
    ] {
        let source = parsed(from, &Said::default()).unwrap();
        assert_eq!(source.table, table, "{from}");
        assert_eq!(source.guessed, format.is_none(), "{from}");
        let expected = format.map_or(FileFormat::Parquet, FileFormat::from);
        let ServerKind::Files(files) = source.kind else {
            panic!("{from}");
        };
        assert_eq!(files.format, expected, "{from}");
    }
    assert!(parsed("..", &Said::default()).is_err());
}
