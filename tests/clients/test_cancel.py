"""Queries that their clients give up."""

import json
import time

import adbc_driver_manager
import flight_sql
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from people import HOSPITAL, INSURER

ENDLESS = "SELECT a.visit_id FROM care.visits a CROSS JOIN care.visits b"
CANCELLED, CANCELLING, NOT_CANCELLABLE = 1, 2, 3


def outcome_within(server, seconds):
    """How the query that ran longest ended; waits as long for the ledger to say so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        entries = [json.loads(line)["body"] for line in server.ledger.read_text().splitlines()]
        (query,) = {e["query"] for e in entries if "CROSS JOIN" in e.get("sql", "")}
        for entry in entries:
            if entry["entry"] == "closed" and entry["query"] == query:
                return entry["outcome"]
        time.sleep(0.01)
    return "open"


def test_adbc_cancels(own_server):
    with own_server.adbc(HOSPITAL) as connection, connection.cursor() as cursor:
        cursor.execute(ENDLESS)
        stream = cursor.fetch_record_batch()
        stream.read_next_batch()
        cursor.adbc_cancel()
        with pytest.raises((adbc_driver_manager.Error, OSError)):
            while True:
                stream.read_next_batch()
        assert outcome_within(own_server, 1) == "abandoned"
        with connection.cursor() as other:
            other.execute("SELECT 1")
            assert other.fetchall() == [(1,)]


def test_a_connection_that_is_gone_stops_its_work(own_server):
    connection = own_server.adbc(HOSPITAL)
    cursor = connection.cursor()
    cursor.execute(ENDLESS)
    cursor.fetch_record_batch().read_next_batch()
    cursor.close()
    connection.close()
    # Closing signs out, too; whichever the server sees first ends the query.
    assert outcome_within(own_server, 1) in ("abandoned", "revoked")


@pytest.fixture
def running(server):
    """A stream that has begun: its client, its FlightInfo, its reader."""
    with server.pyarrow(HOSPITAL) as client:
        info = client.info("CommandStatementQuery", f1=ENDLESS)
        reader = client.flight.do_get(info.endpoints[0].ticket, client.options)
        reader.read_chunk()
        yield client, info, reader
        reader.cancel()


def test_a_query_is_cancelled_by_its_flight_info(running):
    client, info, reader = running
    (answer,) = client.action("CancelFlightInfo", flight_sql.message(f1=info.serialize()))
    assert flight_sql.parse(answer)[1] in (CANCELLED, CANCELLING)
    with pytest.raises(flight.FlightCancelledError):
        while True:
            reader.read_chunk()


def test_nobody_cancels_a_query_of_somebody_else(server, running):
    _, info, reader = running
    with server.pyarrow(INSURER) as other:
        try:
            (answer,) = other.action("CancelFlightInfo", flight_sql.message(f1=info.serialize()))
            assert flight_sql.parse(answer) == {1: NOT_CANCELLABLE}
        except pa.ArrowException:
            pass
    for _ in range(20):
        reader.read_chunk()
