"""What browsers of schemas see: only what the principal may see."""

import pyarrow as pa
import pytest
from people import EVERYBODY, HOSPITAL, INSURER, NOBODY, RESEARCHER

TABLES = {("care", "patients"), ("care", "visits"), ("insurance", "claims")}
PATIENTS_OF_RESEARCHER = {
    "patient_id", "birth_date", "sex", "zip", "region", "ward", "household_income", "contact", "tags",
}


def objects(connection, depth, **filters):
    reader = connection.adbc_get_objects(depth=depth, **filters)
    return reader.read_all().to_pylist()


def tables_of(catalogs):
    return {
        (schema["db_schema_name"], table["table_name"])
        for catalog in catalogs
        for schema in catalog["catalog_db_schemas"]
        for table in schema["db_schema_tables"]
    }


def test_objects_at_every_depth(server):
    with server.adbc(RESEARCHER) as connection:
        (catalog,) = objects(connection, "catalogs")
        assert catalog["catalog_name"] == "scrim"
        (catalog,) = objects(connection, "db_schemas")
        schemas = [schema["db_schema_name"] for schema in catalog["catalog_db_schemas"]]
        assert {"care", "insurance"} <= set(schemas)
        assert tables_of(objects(connection, "tables")) >= TABLES
        everything = objects(connection, "all", table_name_filter="patients")
        ((schema,),) = [
            [s for s in catalog["catalog_db_schemas"] if s["db_schema_name"] == "care"]
            for catalog in everything
        ]
        (table,) = schema["db_schema_tables"]
        columns = {column["column_name"] for column in table["table_columns"]}
        assert columns == PATIENTS_OF_RESEARCHER


def test_who_has_no_agreement_sees_no_table(server):
    with server.adbc(NOBODY) as connection:
        assert not tables_of(objects(connection, "tables")) & TABLES


def test_filters_are_patterns(server):
    with server.adbc(HOSPITAL) as connection:
        assert tables_of(objects(connection, "tables", table_name_filter="p%s")) == {
            ("care", "patients")
        }
        assert tables_of(objects(connection, "tables", db_schema_filter="insuranc_")) == {
            ("insurance", "claims")
        }


@pytest.mark.parametrize("persona", EVERYBODY, ids=lambda p: p.user)
def test_a_tables_schema_is_that_of_its_results(server, persona):
    with server.adbc(persona) as connection, connection.cursor() as cursor:
        schema = connection.adbc_get_table_schema("patients", db_schema_filter="care")
        cursor.execute("SELECT * FROM care.patients LIMIT 1")
        result = cursor.fetch_arrow_table().schema
    assert schema.names == result.names
    assert schema.types == result.types


def test_inv_08_the_type_of_a_column_does_not_depend_on_who_asks(server):
    schemas = []
    for persona in EVERYBODY:
        with server.pyarrow(persona) as client:
            schemas.append(client.schema("SELECT * FROM care.patients"))
    for schema in schemas[1:]:
        for field in schema:
            assert field.type == schemas[0].field(field.name).type
            assert field.nullable


def test_get_schema_is_the_schema_of_the_stream(server):
    sql = "SELECT ward, count(*) AS n, min(birth_date) AS first FROM care.patients GROUP BY ward"
    with server.pyarrow(INSURER) as client:
        info = client.info("CommandStatementQuery", f1=sql)
        assert client.schema(sql) == info.schema == client.read(info).schema


def test_only_types_that_every_driver_reads(server):
    with server.pyarrow(HOSPITAL) as client:
        for table in ("care.patients", "care.visits", "insurance.claims"):
            for field in client.schema(f"SELECT * FROM {table}"):
                kind = field.type
                assert not pa.types.is_dictionary(kind), field
                assert not pa.types.is_string_view(kind), field
                assert not pa.types.is_large_string(kind), field


def test_catalogs_schemas_and_types_of_tables(server):
    with server.pyarrow(HOSPITAL) as client:
        assert client.ask("CommandGetCatalogs")["catalog_name"].to_pylist() == ["scrim"]
        schemas = client.ask("CommandGetDbSchemas")
        assert not schemas.schema.field("db_schema_name").nullable
        assert schemas.schema.field("catalog_name").nullable
        assert "TABLE" in client.ask("CommandGetTableTypes")["table_type"].to_pylist()


def test_tables_carry_their_schema_as_a_message(server):
    with server.pyarrow(INSURER) as client:
        tables = client.ask("CommandGetTables", f2="care", f3="patients", f5=True).to_pylist()
        (table,) = tables
        assert table["table_schema"][:4] == b"\xff\xff\xff\xff"
        schema = pa.ipc.read_schema(pa.py_buffer(table["table_schema"]))
        assert "national_id" not in schema.names and "full_name" in schema.names
        assert len(client.ask("CommandGetTables", f2="care").schema) == 4


def test_keys_are_those_of_the_contracts(server):
    with server.pyarrow(HOSPITAL) as client:
        for name, rows in (
            ("CommandGetPrimaryKeys", 1),
            ("CommandGetExportedKeys", 2),
            ("CommandGetImportedKeys", 0),
        ):
            assert client.ask(name, f2="care", f3="patients").num_rows == rows
    with server.pyarrow(RESEARCHER) as client:
        # patient_id is a pseudonym there, and no key
        assert client.ask("CommandGetPrimaryKeys", f2="care", f3="patients").num_rows == 0


def test_what_the_server_says_about_itself(server):
    with server.adbc(HOSPITAL) as connection:
        about = connection.adbc_get_info()
    assert "scrim" in about["vendor_name"].lower()
    with server.pyarrow(HOSPITAL) as client:
        info = client.ask("CommandGetSqlInfo").to_pylist()
        by_code = {row["info_name"]: row["value"] for row in info}
        assert by_code[3] is True, "it is read-only"
        assert by_code[504] == '"'
        assert client.ask("CommandGetXdbcTypeInfo").num_rows > 5


def test_the_information_schema_is_ones_own(server):
    sql = "SELECT column_name FROM information_schema.columns WHERE table_name = 'patients'"
    with server.adbc(RESEARCHER) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        assert {name for (name,) in cursor.fetchall()} == PATIENTS_OF_RESEARCHER


def rows(server, persona, sql, parameters=None):
    with server.adbc(persona) as connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table().to_pylist()


def test_access_is_told_in_band(server):
    tables = rows(server, RESEARCHER, "SHOW ACCESS")
    patients = next(row for row in tables if row["table_name"] == "patients")
    assert patients["contact"] == "Northgate data office"
    assert patients["rows_limited"] is True and patients["until"].year == 2099
    columns = rows(server, RESEARCHER, "SHOW ACCESS ON care.patients")
    assert {row["column_name"] for row in columns} == PATIENTS_OF_RESEARCHER
    sql = "EXPLAIN ACCESS SELECT zip FROM care.patients WHERE region = ?"
    query = rows(server, RESEARCHER, sql, ("NORTH",))
    assert [row["column_name"] for row in query if row["part"] == "result"] == ["zip"]
    assert {row["column_name"] for row in query if row["part"] == "read"} == {"zip", "region"}
    assert not [row for row in rows(server, NOBODY, "SHOW ACCESS") if row["table_schema"] == "care"]
