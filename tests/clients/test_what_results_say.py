"""What a result says about itself: types by name, what was masked, which query it was."""

import pyarrow as pa
from people import HOSPITAL, RESEARCHER

TYPE_NAME = b"ARROW:FLIGHT:SQL:TYPE_NAME"
REMARKS = b"ARROW:FLIGHT:SQL:REMARKS"


def test_each_column_names_a_type_that_is_listed(server):
    with server.pyarrow(HOSPITAL) as client:
        types = set(client.ask("CommandGetXdbcTypeInfo")["type_name"].to_pylist())
        for table in ("care.patients", "care.visits", "insurance.claims"):
            for field in client.query(f"SELECT * FROM {table} LIMIT 1").schema:
                name = field.metadata[TYPE_NAME].decode()
                assert pa.types.is_nested(field.type) or name in types, field


def test_a_description_is_a_remark_of_the_table_and_never_of_a_result(server):
    with server.adbc(HOSPITAL) as connection:
        table = connection.adbc_get_table_schema("patients", db_schema_filter="care")
        remark = table.field("patient_id").metadata[REMARKS].decode()
        assert remark == "Northgate's number for the person."
    with server.pyarrow(HOSPITAL) as client:
        for field in client.query("SELECT * FROM care.patients LIMIT 1").schema:
            assert REMARKS not in (field.metadata or {}), "JDBC would show it as the label"


def test_a_masked_column_says_so_and_only_that_one(server):
    with server.adbc(RESEARCHER) as connection:
        table = connection.adbc_get_table_schema("patients", db_schema_filter="care")
    masked = {field.name for field in table if b"scrim.mask" in (field.metadata or {})}
    assert "patient_id" in masked and "sex" not in masked


def test_a_result_says_which_query_it_was_and_what_was_applied(server):
    with server.pyarrow(RESEARCHER) as client:
        info = client.info("CommandStatementQuery", f1="SELECT * FROM care.patients LIMIT 1")
        assert info.app_metadata, "the query's id"
        told = client.read(info).schema.metadata
    about = {key.decode(): value.decode() for key, value in told.items() if key.startswith(b"scrim.")}
    assert about, told
    assert any("meridian-" in value for value in about.values()), about
