"""Prepared statements, parameters, partitions, empty and large results."""

import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from people import HOSPITAL, INSURER, RESEARCHER


@pytest.fixture
def cursor(server):
    with server.adbc(HOSPITAL) as connection, connection.cursor() as cursor:
        yield cursor


def test_parameters_of_both_kinds(cursor):
    cursor.execute("SELECT patient_id FROM care.patients WHERE ward = ?", ("Lighthouse",))
    assert cursor.fetchall() == [("NG-000001",)]
    sql = "SELECT patient_id FROM care.patients WHERE ward = $2 AND region IS NOT NULL AND $1 = 1"
    cursor.execute(sql, (1, "Sunroom"))
    assert cursor.fetchall() == [("NG-000002",)]
    sql = "SELECT count(*) FROM care.patients WHERE household_income BETWEEN ? AND ?"
    cursor.execute(sql, (0, 10**9))
    ((some,),) = cursor.fetchall()
    cursor.execute(sql, (1, 0))
    assert some > 0 and cursor.fetchall() == [(0,)]


def test_a_prepared_statement_is_run_again_with_other_values(cursor):
    sql = "SELECT patient_id FROM care.patients WHERE ward = ?"
    assert cursor.adbc_prepare(sql).types == [pa.string()]
    for ward, patient in [("Lighthouse", "NG-000001"), ("Sunroom", "NG-000002"), ("-", None)]:
        cursor.execute(sql, (ward,))
        assert cursor.fetchone() == (patient and (patient,))


def test_the_schema_is_known_before_a_run(cursor):
    schema = cursor.adbc_execute_schema("SELECT patient_id, birth_date FROM care.patients")
    assert schema.names == ["patient_id", "birth_date"]
    assert schema.types == [pa.string(), pa.date32()]


def test_a_value_is_never_read_as_sql(cursor):
    sql = "SELECT count(*) FROM care.patients WHERE ward = ?"
    cursor.execute(sql, ("x' OR '1' = '1",))
    assert cursor.fetchall() == [(0,)]


def test_partitions_are_read_by_who_asked_and_by_nobody_else(server):
    sql = "SELECT patient_id FROM care.patients WHERE ward = 'Lighthouse'"
    with server.adbc(RESEARCHER) as mine, mine.cursor() as cursor:
        partitions, schema = cursor.adbc_execute_partitions(sql)
        assert schema.names == ["patient_id"]
        got = []
        for partition in partitions:
            cursor.adbc_read_partition(partition)
            got += cursor.fetchall()
        assert len(got) == 1
        with server.adbc(INSURER) as other, other.cursor() as thief:
            with pytest.raises(adbc_driver_manager.Error) as refused:
                thief.adbc_read_partition(partitions[0])
                thief.fetchall()
        assert refused.value.status_code != adbc_driver_manager.AdbcStatusCode.INTERNAL


def test_inv_12_a_ticket_carries_no_right(server):
    with server.pyarrow(RESEARCHER) as mine, server.pyarrow(INSURER) as other:
        info = mine.info("CommandStatementQuery", f1="SELECT patient_id FROM care.patients")
        assert mine.read(info).num_rows > 0
        with pytest.raises(flight.FlightError):
            other.read(info)
        ticket = info.endpoints[0].ticket.ticket
        for changed in (ticket[:-1], ticket[:40], ticket[:60] + b"x" + ticket[61:], b""):
            with pytest.raises((flight.FlightError, pa.ArrowInvalid)) as refused:
                mine.flight.do_get(flight.Ticket(changed), mine.options).read_all()
            assert not isinstance(refused.value, flight.FlightInternalError)


def test_a_prepared_statement_of_somebody_else_is_refused(server):
    with server.pyarrow(RESEARCHER) as mine, server.pyarrow(INSURER) as other:
        handle, result, parameters = mine.prepare("SELECT patient_id FROM care.patients")
        assert result.names == ["patient_id"] and len(parameters) == 0
        assert mine.ask("CommandPreparedStatementQuery", f1=handle).num_rows > 0
        with pytest.raises(flight.FlightError):
            other.ask("CommandPreparedStatementQuery", f1=handle)


def test_no_row_is_still_a_result_with_a_schema(cursor):
    cursor.execute("SELECT patient_id, tags FROM care.patients WHERE FALSE")
    table = cursor.fetch_arrow_table()
    assert table.num_rows == 0 and table.schema.names == ["patient_id", "tags"]


def test_a_large_result_comes_in_small_messages(server):
    """The connection refuses messages above 4 MiB; this result is many times that."""
    sql = "SELECT a.*, b.notes AS more FROM care.visits a JOIN care.visits b USING (visit_id)"
    with server.adbc(HOSPITAL) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        sizes = [batch.nbytes for batch in cursor.fetch_record_batch()]
    assert sum(sizes) > 8 * 1024 * 1024
    assert len(sizes) > 2


def test_a_stream_that_is_left_does_no_harm(server):
    with server.adbc(HOSPITAL) as connection:
        for _ in range(12):
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM care.visits")
                cursor.fetch_record_batch().read_next_batch()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == [(1,)]


def test_errors_have_the_right_kind(server):
    codes = adbc_driver_manager.AdbcStatusCode
    cases = [
        ("SELEC 1", codes.INVALID_ARGUMENT),
        ("SELECT * FROM care.nothing", codes.NOT_FOUND),
        ("SELECT nothing FROM care.patients", codes.NOT_FOUND),
        ("DROP TABLE care.patients", codes.UNAUTHORIZED),
    ]
    with server.adbc(HOSPITAL) as connection, connection.cursor() as cursor:
        for sql, code in cases:
            with pytest.raises(adbc_driver_manager.Error) as refused:
                cursor.execute(sql)
            wanted = (code, codes.INVALID_ARGUMENT) if code == codes.NOT_FOUND else (code,)
            assert refused.value.status_code in wanted, sql


def test_inv_14_huge_and_deep_sql_is_refused_and_the_server_lives(cursor):
    deep = "SELECT " + "(" * 5_000 + "1" + ")" * 5_000
    chain = "SELECT 1" + " + 1" * 200_000
    long = "SELECT '" + "x" * 3_000_000 + "'"
    for sql in (deep, chain, long):
        with pytest.raises(adbc_driver_manager.Error):
            cursor.execute(sql)
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == [(1,)]
