"""Each tool of Python reads the same rows, with TLS and without."""

import pathlib
import re

import adbc_driver_manager
import duckdb
import flightsql
import flightsql.sqlalchemy
import pandas
import polars
import polars.testing
import pyarrow as pa
import pytest
import sqlalchemy
from people import HOSPITAL, PASSWORD, RESEARCHER

README = pathlib.Path(__file__).resolve().parents[2] / "examples" / "clients" / "README.md"
PATIENTS = "SELECT * FROM care.patients ORDER BY patient_id"


@pytest.fixture
def connection(service):
    with service.adbc(HOSPITAL) as connection:
        yield connection


@pytest.fixture
def patients(service):
    """What pyarrow reads without a driver in between."""
    with service.pyarrow(HOSPITAL) as client:
        return client.query(PATIENTS)


def same(table, other):
    """Rows, names and types; what a driver keeps of metadata is its own."""
    plain = lambda t: t.replace_schema_metadata().combine_chunks()
    bare = pa.schema([field.remove_metadata() for field in table.schema])
    assert plain(other).cast(bare).equals(plain(table).cast(bare))


def test_adbc(connection, patients):
    with connection.cursor() as cursor:
        cursor.execute(PATIENTS)
        same(patients, cursor.fetch_arrow_table())
        schema = cursor.adbc_execute_schema(PATIENTS)
        assert schema.names == patients.schema.names and schema.types == patients.schema.types
        partitions, _ = cursor.adbc_execute_partitions(PATIENTS)
        assert len(partitions) == 1, "more endpoints come to nobody who did not ask for them"
        cursor.adbc_read_partition(partitions[0])
        same(patients, cursor.fetch_arrow_table())
    table = connection.adbc_get_table_schema("patients", db_schema_filter="care")
    assert table.names == patients.schema.names
    assert connection.adbc_get_table_types() == ["TABLE"]
    for depth in ("catalogs", "db_schemas", "tables", "all"):
        (catalog,) = connection.adbc_get_objects(depth=depth).read_all().to_pylist()
        assert catalog["catalog_name"] == "scrim", depth


def test_adbc_has_a_current_schema(connection):
    assert connection.adbc_current_catalog == "scrim"
    connection.adbc_current_db_schema = "insurance"
    assert connection.adbc_current_db_schema == "insurance"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM claims")
        assert cursor.fetchone()[0] > 0
    with pytest.raises(adbc_driver_manager.Error):
        connection.adbc_current_db_schema = "nowhere"


def test_adbc_binds_row_by_row_and_goes_on_after_a_refusal(connection):
    sql = "SELECT patient_id FROM care.patients WHERE ward = ?"
    with connection.cursor() as cursor:
        for ward, patient in [("Lighthouse", "NG-000001"), ("Sunroom", "NG-000002")]:
            with pytest.raises(adbc_driver_manager.Error):
                cursor.execute("SELECT nothing FROM care.patients")
            cursor.execute(sql, (ward,))
            assert cursor.fetchall() == [(patient,)]


def test_pandas(connection, patients):
    frame = pandas.read_sql(PATIENTS, connection, dtype_backend="pyarrow")
    same(patients, pa.Table.from_pandas(frame, schema=patients.schema, preserve_index=False))


def test_polars(connection, patients):
    frame = polars.read_database(PATIENTS, connection)
    polars.testing.assert_frame_equal(frame, polars.from_arrow(patients))
    # With a connection, polars would leave its cursor open until it is collected.
    with connection.cursor() as cursor:
        pieces = polars.read_database(PATIENTS, cursor, iter_batches=True, batch_size=1_000)
        polars.testing.assert_frame_equal(polars.concat(pieces), frame)


def test_duckdb(connection, patients):
    with connection.cursor() as cursor:
        cursor.execute(PATIENTS)
        stream = cursor.fetch_record_batch()  # noqa: F841 (DuckDB finds it by its name)
        found = duckdb.connect().sql("FROM stream").to_arrow_table()
    same(patients, found)


def test_flightsql_dbapi(service, patients):
    trust = {"tls_root_certs": service.authority} if service.authority else {}
    client = flightsql.FlightSQLClient(
        host=service.host, port=service.port, user=HOSPITAL.user, password=PASSWORD,
        insecure=not service.authority, metadata={"x-scrim-purpose": HOSPITAL.purpose}, **trust,
    )
    info = client.execute(PATIENTS)
    same(patients, client.do_get(info.endpoints[0].ticket).read_all())
    with flightsql.connect(client) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM care.patients WHERE ward = ? AND household_income >= ? AND ?",
            ("Lighthouse", 0, True),
        )
        assert cursor.fetchone() == [1]
        types = connection.flightsql_get_sql_info([0, 2, 3, 504])
        assert set(types) == {0, 2, 3, 504}


def test_flightsql_dbapi_without_credentials(server):
    client = flightsql.FlightSQLClient(host=server.host, port=server.port, insecure=True)
    with pytest.raises(Exception, match="(?i)unauthenticated"):
        client.execute("SELECT 1")


@pytest.fixture
def sql_alchemy(server):
    """Makes engines of SQLAlchemy, which take no certificate: test_examples.py has them with TLS."""
    engines = []

    def engine(persona):
        query = {
            "insecure": "true", "x-scrim-purpose": persona.purpose,
            "feature-sqlalchemy-prepared-statements": "on", "feature-sqlalchemy-primary-keys": "on",
        }
        url = sqlalchemy.engine.URL.create(
            "datafusion+flightsql", persona.user, PASSWORD, server.host, server.port, query=query
        )
        engines.append(sqlalchemy.create_engine(url))
        return engines[-1]

    yield engine
    for made in engines:
        made.dispose()


def test_sqlalchemy(sql_alchemy):
    engine = sql_alchemy(RESEARCHER)
    about = sqlalchemy.inspect(engine)
    assert {"care", "insurance"} <= set(about.get_schema_names())
    assert about.get_table_names("care") == ["patients", "visits"]
    columns = {column["name"] for column in about.get_columns("patients", "care")}
    assert {"patient_id", "ward"} <= columns and "national_id" not in columns
    assert about.has_table("patients", "care") and not about.has_table("nothing", "care")
    patients = sqlalchemy.Table("patients", sqlalchemy.MetaData(), schema="care", autoload_with=engine)
    some = sqlalchemy.select(patients.c.ward).where(patients.c.ward.in_(["Lighthouse", "Sunroom"]))
    with engine.connect() as connection:
        found = connection.execute(some.order_by(patients.c.ward)).fetchall()
        assert found == [("Lighthouse",), ("Sunroom",)]
        text = sqlalchemy.text("SELECT ward FROM care.patients WHERE ward = :ward")
        assert connection.execute(text, {"ward": "Sunroom"}).scalar() == "Sunroom"


def test_supersets_uri_as_the_readme_has_it(server):
    (uri,) = re.findall(r"^datafusion\+flightsql://\S+$", README.read_text(), re.MULTILINE)
    ours = {
        "USER": RESEARCHER.user, "PASSWORD": PASSWORD, "HOST": server.host,
        "PORT": str(server.port), "PURPOSE": RESEARCHER.purpose,
    }
    for word, value in ours.items():
        uri = uri.replace(word, value)
    engine = sqlalchemy.create_engine(uri + "&insecure=true")
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT count(*) FROM care.visits")).scalar() > 0
    engine.dispose()


def test_sqlalchemy_is_told_the_primary_key(sql_alchemy):
    key = sqlalchemy.inspect(sql_alchemy(HOSPITAL)).get_pk_constraint("visits", "care")
    assert key["constrained_columns"] == ["visit_id"]
