//! The rows that the conditions are compared on are what a scan of the table reads.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::catalog::TableProvider;
use datafusion::execution::session_state::SessionStateBuilder;
use futures::TryStreamExt;
use scrim_model::Secret;
use scrim_policy::{PostgresServer, PostgresTls};
use scrim_testkit::postgres::{Database, PASSWORD, Postgres, READER};

use super::super::super::columns::PgType;
use super::super::super::schema::Table as Found;
use super::super::super::table::PgTable;
use super::random::Random;
use super::rows::{Table, name, table};
use crate::{Credential, Credentials, SourceSettings, Sources, Wanted, WantedColumn};

#[tokio::test]
async fn inv_06_conditions_are_on_values_as_they_are_read() {
    let table = table(50, &mut Random(2));
    let database = Postgres::shared().database();
    database.execute(&table.sql);
    let opened = open(&database, &table).await;
    let session = SessionStateBuilder::new().build();
    let plan = opened.scan(&session, None, &[], None).await.unwrap();
    let batches: Vec<_> = plan
        .execute(0, session.task_ctx())
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let read = concat_batches(&batches[0].schema(), &batches).unwrap();
    let ids = read.column(0).as_primitive::<Int32Type>();
    let read = take_record_batch(&read, &sort_to_indices(ids, None, None).unwrap()).unwrap();
    for column in table.rows.schema().fields() {
        let name = column.name();
        assert_eq!(
            read.column_by_name(name).unwrap(),
            table.rows.column_by_name(name).unwrap(),
            "{name}"
        );
    }
}

async fn open(database: &Database, table: &Table) -> PgTable {
    let server = database.server();
    let at = PostgresServer {
        host: "localhost".to_owned(),
        port: server.port(),
        database: database.name().to_owned(),
        schema: "public".to_owned(),
        tls: PostgresTls::VerifyFull {
            ca: Some(server.authority().display().to_string()),
        },
    };
    let field = |name: &str, value: &str| (name.to_owned(), Secret::new(value.to_owned()));
    let credential = Credential::new([field("user", READER), field("password", PASSWORD)]);
    let column = |name: String, physical_type: Option<&str>| WantedColumn {
        name,
        logical_type: None,
        physical_type: physical_type.map(str::to_owned),
        required: false,
        fields: Vec::new(),
        items: None,
    };
    let columns = table.specs.iter().flat_map(|spec| {
        let printed = spec.pg_type == PgType::Printed;
        let physical_type = printed.then_some("text");
        [false, true].map(|second| column(name(spec, second), physical_type))
    });
    let id = column("id".to_owned(), None);
    let wanted = Wanted {
        table: "nasty".to_owned(),
        columns: Some([id].into_iter().chain(columns).collect()),
    };
    let sources = Sources::new(
        "/".into(),
        Credentials::default(),
        SourceSettings::default(),
    );
    let database = sources.database(&at, Some(&credential)).unwrap();
    let found = Found::look_up(&database, "public", &wanted).await.unwrap();
    for column in table.columns.iter() {
        assert_eq!(found.columns.get(&column.name), Some(column));
    }
    PgTable::new(database, found, "nasty")
}
