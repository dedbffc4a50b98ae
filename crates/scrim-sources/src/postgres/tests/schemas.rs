//! What can be opened, and what happens when a table changes under us.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_wanted_columns_are_opened_and_others_are_reported() {
    let world = World::of(
        "CREATE TABLE \"Odd \"\"name\" (id int, \"Mixed Case\" text, secret text);
         INSERT INTO \"Odd \"\"name\" SELECT n, 'x', 'y' FROM generate_series(1, 100) AS n;
         ANALYZE",
    );
    let columns = [("Mixed Case", None), ("no such", None), ("id", None)];
    let table = world.open(&wanted("Odd \"name", &columns)).await.unwrap();
    let schema = table.schema();
    let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["Mixed Case", "id"]);
    assert_eq!(table.extra(), ["secret"]);
    assert_eq!(table.rows(), Some(100));
    assert_eq!(all(&table).await.num_rows(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_relation_is_read() {
    let world = World::of(
        "CREATE TABLE plain AS SELECT n FROM generate_series(1, 3) AS n;
         CREATE TABLE parted (n int) PARTITION BY RANGE (n);
         CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (2);
         CREATE TABLE high PARTITION OF parted FOR VALUES FROM (2) TO (9);
         INSERT INTO parted SELECT n FROM plain;
         CREATE VIEW seen AS SELECT n FROM plain;
         CREATE MATERIALIZED VIEW kept AS SELECT n FROM plain;
         CREATE SEQUENCE counter;
         ANALYZE",
    );
    for (name, rows) in [
        ("plain", Some(3)),
        ("parted", Some(3)),
        ("kept", Some(3)),
        ("seen", None),
    ] {
        let table = world.table(name).await;
        assert_eq!(table.rows(), rows, "{name}");
        assert_eq!(all(&table).await.num_rows(), 3, "{name}");
    }
    for (name, cause) in [
        ("counter", "`counter` is neither a table nor a view"),
        (
            "nothing",
            "there is no table `nothing` in the schema `public`",
        ),
        ("Plain", "there is no table `Plain`"),
    ] {
        assert_refused(world.open(&Wanted::all(name)).await, cause);
    }
    assert_refused(
        world.open(&Wanted::all("pla\0in")).await,
        "there is no table",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn privileges_that_are_missing_are_named() {
    let world = World::of(
        "CREATE TABLE t (open int, closed int); INSERT INTO t VALUES (1, 2);
         REVOKE ALL ON t FROM reader; GRANT SELECT (open) ON t TO reader;
         CREATE SCHEMA shut; REVOKE ALL ON SCHEMA shut FROM reader; CREATE TABLE shut.t (n int)",
    );
    let open = wanted("t", &[("open", None)]);
    let table = world.open(&open).await.unwrap();
    assert_eq!(texts(&all(&table).await, "open"), ["1"]);
    assert_eq!(table.extra(), ["closed"]);
    let counted = scan(
        &table,
        &Ask {
            columns: Some(&[]),
            ..Ask::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(counted.num_rows(), 1);
    let closed = world.open(&wanted("t", &[("closed", None)])).await;
    assert_refused(
        closed,
        "may not read the column `closed`; grant SELECT on it",
    );
    let mut shut = World::on(world.database.server(), SourceSettings::default());
    shut.at.clone_from(&world.at);
    shut.at.schema = "shut".to_owned();
    assert_refused(shut.open(&Wanted::all("t")).await, "grant USAGE on it");
    world.database.execute("REVOKE ALL (open) ON t FROM reader");
    let error = scan(&table, &Ask::default()).await.unwrap_err();
    assert_fault(error, FaultKind::Unavailable, "grant SELECT on its columns");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_07_a_table_that_changed_is_a_fault_and_never_read_as_what_it_was() {
    let world = World::of(
        "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    );
    for change in [
        "ALTER TABLE t ALTER a TYPE oid USING a::oid",
        "ALTER TABLE t ALTER b TYPE numeric(10, 3)",
        "ALTER TABLE t ALTER c TYPE text COLLATE any_case",
        "ALTER TABLE t DROP a",
        "ALTER TABLE t RENAME a TO z",
        "DROP TABLE t",
        "DROP TABLE t; CREATE TABLE t (a real, b numeric(10, 2), c text, d int)",
    ] {
        world.database.execute(
            "DROP TABLE IF EXISTS t;
             CREATE TABLE t (a int, b numeric(10, 2), c text, d int); INSERT INTO t VALUES (1, 2, 'x', 3)",
        );
        let columns = [("a", None), ("b", None), ("c", None)];
        let table = world.open(&wanted("t", &columns)).await.unwrap();
        world
            .database
            .execute("ALTER TABLE t ADD e int; ALTER TABLE t DROP d; ALTER TABLE t ADD d text");
        assert_eq!(all(&table).await.num_rows(), 1, "other columns may change");
        world.database.execute(change);
        for columns in [None, Some(&["c"][..]), Some(&[][..])] {
            let error = scan(
                &table,
                &Ask {
                    columns,
                    ..Ask::default()
                },
            )
            .await
            .unwrap_err();
            let fault = fault(error);
            assert_eq!(fault.kind(), FaultKind::Invalid, "{change}: {fault}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_replaced_by_its_like_is_read_on() {
    let world = World::of("CREATE TABLE t AS SELECT 1 AS n");
    let table = world.table("t").await;
    world
        .database
        .execute("DROP TABLE t; CREATE TABLE t AS SELECT 2 AS n");
    assert_eq!(texts(&all(&table).await, "n"), ["2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_encodings_are_refused() {
    let world = World::new();
    let name = format!("{}_latin", world.database.name());
    world.database.execute(&format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING LATIN1 LOCALE 'C' LOCALE_PROVIDER libc"
    ));
    let mut latin = World::on(world.database.server(), SourceSettings::default());
    latin.at.database.clone_from(&name);
    latin.at.schema = "pg_catalog".to_owned();
    let opened = latin.open(&Wanted::all("pg_class")).await;
    assert_refused(opened, "encoding is LATIN1; only UTF8 is read");
    drop(latin);
    world
        .database
        .execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
}
