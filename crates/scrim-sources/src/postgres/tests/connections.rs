//! Connections: how they are protected, counted, cancelled and lost.

use std::net::{Ipv4Addr, SocketAddr};

use futures::StreamExt;
use scrim_testkit::proxy::{Fault, Proxy};

use super::*;

const LARGE: &str = "CREATE TABLE t AS SELECT n, repeat('x', 200) AS word
    FROM generate_series(1, 200000) AS n";

/// Sessions of ours that are there, of which so many run a statement.
const OURS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scrim' \
                    AND datname = current_database()";
const BUSY: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scrim' \
                    AND datname = current_database() AND state <> 'idle'";

fn few(connections: usize) -> SourceSettings {
    SourceSettings {
        postgres_connections: connections,
        connect_timeout: Duration::from_millis(400),
        ..SourceSettings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_certificate_must_be_for_its_name_and_of_a_known_authority() {
    let mut world = World::of("CREATE TABLE t (n int)");
    all(&world.table("t").await).await;
    let encrypted = "SELECT bool_and(ssl)::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'scrim' AND datname = current_database()";
    assert_eq!(world.database.value(encrypted).as_deref(), Some("true"));
    world.at.host = "127.0.0.1".to_owned();
    assert_refused(
        world.open(&Wanted::all("t")).await,
        "certificate not valid for name",
    );
    world.at.host = "localhost".to_owned();
    let folder = tempfile::tempdir().unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let path = folder.path().join("other.pem");
    std::fs::write(&path, other.cert.pem()).unwrap();
    world.at.tls = PostgresTls::VerifyFull {
        ca: Some(path.display().to_string()),
    };
    assert_refused(world.open(&Wanted::all("t")).await, "UnknownIssuer");
    // A file that was mended is read anew.
    let authority = std::fs::read(world.database.server().authority()).unwrap();
    std::fs::write(&path, authority).unwrap();
    all(&world.table("t").await).await;
    std::fs::write(&path, "nothing").unwrap();
    assert_refused(
        world.open(&Wanted::all("t")).await,
        "there is no certificate at",
    );
    world.at.tls = PostgresTls::VerifyFull {
        ca: Some("no/such.pem".to_owned()),
    };
    assert_refused(
        world.open(&Wanted::all("t")).await,
        "cannot read certificates at /no/such.pem",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_may_be_off_on_this_machine_only() {
    let mut world = World::of("CREATE TABLE t (n int)");
    world.at.tls = PostgresTls::Off;
    all(&world.table("t").await).await;
    world.at.host = "db.example".to_owned();
    assert_refused(
        world.open(&Wanted::all("t")).await,
        "TLS may be off for servers of this machine only",
    );
    world.at.host = "/var/run/postgresql".to_owned();
    // There is no server there, but nothing is refused before.
    assert_refused(world.open(&Wanted::all("t")).await, "error connecting");
    world.at.tls = PostgresTls::VerifyFull { ca: None };
    assert_refused(
        world.open(&Wanted::all("t")).await,
        "a Unix socket has no TLS",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_meets_a_server_without_tls_is_told_how_to_go_on() {
    let mut world = World::of("CREATE TABLE t (n int)");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.at.port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        // It asks for TLS, and the answer is no.
        let mut asked = [0; 8];
        tokio::io::AsyncReadExt::read_exact(&mut client, &mut asked)
            .await
            .unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut client, b"N")
            .await
            .unwrap();
    });
    assert_refused(
        world.open(&Wanted::all("t")).await,
        "server does not support TLS; turn it on there, or, on this machine, write `tls: off`",
    );
    server.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_15_credentials_are_needed_and_never_shown() {
    let mut world = World::of("CREATE TABLE t (n int)");
    let none = look_up(&world.sources, &world.at, None, &Wanted::all("t")).await;
    assert_refused(none, "its credentials lack `user`");
    world.credential = credential("reader", "wr0ng-secret");
    let error = world.open(&Wanted::all("t")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it refused the user or the password"),
        "{error}"
    );
    let shown = format!(
        "{error} {error:?} {:?} {:?}",
        world.sources, world.credential
    );
    assert!(!shown.contains("wr0ng"), "{shown}");
    assert!(!shown.contains("reader"), "{shown}");
    world.credential = credential(READER, PASSWORD);
    let table = world.table("t").await;
    let shown = format!("{table:?} {:?}", world.sources);
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_password_gets_no_connection_of_the_right_one() {
    let world = World::of("CREATE TABLE t (n int)");
    all(&world.table("t").await).await;
    let wrong = credential(READER, "wrong");
    let opened = look_up(&world.sources, &world.at, Some(&wrong), &Wanted::all("t")).await;
    assert_refused(opened, "it refused the user or the password");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_shared_bounded_and_given_back() {
    let world = World::with(few(2));
    world.database.execute(LARGE);
    let (one, other) = (world.table("t").await, world.table("t").await);
    let mut first = start(&one, &Ask::default()).await;
    let mut second = start(&other, &Ask::default()).await;
    first.next().await.unwrap().unwrap();
    second.next().await.unwrap().unwrap();
    let error = scan(&one, &Ask::default()).await.unwrap_err();
    assert_fault(
        error,
        FaultKind::Busy,
        "all 2 connections to it were in use for 400ms",
    );
    while let Some(batch) = first.next().await {
        batch.unwrap();
    }
    assert_eq!(all(&one).await.num_rows(), 200_000);
    drop(second);
    for _ in 0..5 {
        let counted = scan(
            &one,
            &Ask {
                columns: Some(&[]),
                ..Ask::default()
            },
        )
        .await
        .unwrap();
        assert_eq!(counted.num_rows(), 200_000);
    }
    world.until(BUSY, "0").await;
    let ours: usize = world.database.value(OURS).unwrap().parse().unwrap();
    assert!(ours <= 2, "{ours} connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_that_nobody_reads_any_more_is_cancelled() {
    let world = World::of(LARGE);
    world.database.execute(
        "CREATE VIEW slow AS SELECT n, pg_sleep(60)::text AS s FROM generate_series(1, 9) AS n",
    );
    let table = world.table("t").await;
    let mut stream = start(&table, &Ask::default()).await;
    stream.next().await.unwrap().unwrap();
    world.until(BUSY, "1").await;
    drop(stream);
    world.until(BUSY, "0").await;
    // One that has sent nothing yet, too.
    let slow = world.table("slow").await;
    let mut stream = start(&slow, &Ask::default()).await;
    let waiting = tokio::spawn(async move { stream.next().await.map(|b| b.is_ok()) });
    world.until(BUSY, "1").await;
    waiting.abort();
    world.until(OURS, "0").await;
    assert_eq!(all(&table).await.num_rows(), 200_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_waits_holds_back_the_server() {
    let world = World::of(LARGE);
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, world.at.port));
    let proxy = Proxy::start(server).unwrap();
    let mut world = world;
    world.at.port = proxy.address().port();
    let table = world.table("t").await;
    let mut stream = start(&table, &Ask::default()).await;
    let first = stream.next().await.unwrap().unwrap().num_rows();
    // The server fills what lies between us, and then waits for us.
    let client = world.database.client().await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scrim' \
                 AND datname = current_database() AND wait_event = 'ClientWrite'";
    world.until(waits, "1").await;
    assert!(
        proxy.passed() < 30_000_000,
        "{} bytes of 45 million",
        proxy.passed()
    );
    let rest: Vec<_> = stream.try_collect().await.unwrap();
    assert_eq!(
        rest.iter().map(RecordBatch::num_rows).sum::<usize>(),
        200_000 - first
    );
    drop(client);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_has_a_limit() {
    let world = World::with(SourceSettings {
        statement_timeout: Duration::from_millis(100),
        ..SourceSettings::default()
    });
    world
        .database
        .execute("CREATE VIEW slow AS SELECT pg_sleep(60)::text AS s");
    let table = world.table("slow").await;
    let error = scan(&table, &Ask::default()).await.unwrap_err();
    assert_fault(
        error,
        FaultKind::Unavailable,
        "longer than statement_timeout (100ms)",
    );
    world.until(OURS, "0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_locked_is_busy() {
    let world = World::with(few(2));
    world.database.execute("CREATE TABLE t (n int)");
    let table = world.table("t").await;
    let owner = world.database.client().await;
    owner.batch_execute("BEGIN; LOCK TABLE t").await.unwrap();
    let error = scan(&table, &Ask::default()).await.unwrap_err();
    assert_fault(
        error,
        FaultKind::Busy,
        "the table was locked for longer than 400ms",
    );
    owner.batch_execute("COMMIT").await.unwrap();
    all(&table).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_killed_ends_its_scan_and_no_other() {
    let world = World::of(LARGE);
    let table = world.table("t").await;
    let mut stream = start(&table, &Ask::default()).await;
    stream.next().await.unwrap().unwrap();
    world.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'scrim' AND datname = current_database()",
    );
    let error = loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("it ended as if nothing had happened"),
        }
    };
    assert_fault(error, FaultKind::Unavailable, "localhost");
    assert_eq!(all(&table).await.num_rows(), 200_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_that_died_are_replaced_unseen() {
    let world = World::of(LARGE);
    let table = world.table("t").await;
    all(&table).await;
    for _ in 0..3 {
        world.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'scrim' AND datname = current_database()",
        );
        assert_eq!(all(&table).await.num_rows(), 200_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_and_starts_is_found_again() {
    let server = Postgres::start();
    let world = World::on(&server, few(4));
    world
        .database
        .execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 10) AS n");
    world.database.execute("CHECKPOINT");
    let table = world.table("t").await;
    all(&table).await;
    server.crash();
    let error = scan(&table, &Ask::default()).await.unwrap_err();
    assert_fault(error, FaultKind::Unavailable, "refused");
    server.resume();
    assert_eq!(all(&table).await.num_rows(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_or_stalls_on_the_way_is_a_fault() {
    let mut world = World::with(SourceSettings {
        statement_timeout: Duration::from_millis(800),
        ..few(4)
    });
    world.database.execute(LARGE);
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, world.at.port));
    let proxy = Proxy::start(server).unwrap();
    world.at.port = proxy.address().port();
    let table = world.table("t").await;
    let counted = Ask {
        columns: Some(&["n"]),
        ..Ask::default()
    };
    assert_eq!(scan(&table, &counted).await.unwrap().num_rows(), 200_000);
    proxy.set(Fault::Cut(1_000_000));
    let error = scan(&table, &counted).await.unwrap_err();
    assert_fault(error, FaultKind::Unavailable, "localhost");
    // TLS notices a changed byte.
    proxy.set(Fault::Corrupt(1_000_000));
    let error = scan(&table, &counted).await.unwrap_err();
    assert_fault(error, FaultKind::Unavailable, "localhost");
    proxy.set(Fault::Stall(1_000_000));
    let error = scan(&table, &counted).await.unwrap_err();
    assert_fault(error, FaultKind::Unavailable, "it said nothing for 1.2s");
    proxy.refuse();
    let error = scan(&table, &counted).await.unwrap_err();
    assert_fault(error, FaultKind::Unavailable, "localhost");
    proxy.heal();
    assert_eq!(scan(&table, &counted).await.unwrap().num_rows(), 200_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_room_is_busy() {
    let world = World::of("CREATE TABLE t (n int)");
    let table = world.table("t").await;
    world.until(BUSY, "0").await;
    world.database.execute(&format!(
        "ALTER DATABASE {} CONNECTION LIMIT 0",
        world.database.name()
    ));
    world.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'scrim' AND datname = current_database()",
    );
    let error = scan(&table, &Ask::default()).await.unwrap_err();
    assert_fault(error, FaultKind::Busy, "no connection left");
}
