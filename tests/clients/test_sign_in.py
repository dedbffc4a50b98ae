"""Who gets in, with what, and for how long."""

import adbc_driver_manager
import flight_sql
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from people import CANARY, HOSPITAL, PASSWORD, RESEARCHER

UNAUTHENTICATED = adbc_driver_manager.AdbcStatusCode.UNAUTHENTICATED


def test_the_right_password_opens_a_session(server):
    with server.adbc(HOSPITAL) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        assert cursor.fetchall() == [(1,)]


@pytest.mark.parametrize("wrong", [{"password": "Demo"}, {"password": ""}, {"username": "nobody"}])
def test_a_wrong_password_and_an_unknown_account_are_told_the_same(own_server, wrong):
    with pytest.raises(adbc_driver_manager.Error) as refused:
        with own_server.adbc(HOSPITAL, **wrong) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert refused.value.status_code == UNAUTHENTICATED
    text = str(refused.value)
    assert HOSPITAL.user not in text and CANARY not in text and "hash" not in text


def test_without_credentials_nothing_is_told(server):
    client = flight.FlightClient(server.url)
    request = flight_sql.command("CommandGetTables")
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.get_flight_info(flight.FlightDescriptor.for_command(request))
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.do_get(flight.Ticket(request)).read_all()
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(client.do_action(flight.Action("CloseSession", b"")))


def test_a_made_up_token_is_refused(server):
    token = (b"authorization", b"Bearer bm90LWEtdG9rZW4")
    with flight_sql.Client(server.url, token=token) as client:
        with pytest.raises(flight.FlightUnauthenticatedError):
            client.query("SELECT 1")


def test_a_token_serves_further_connections(server):
    with server.pyarrow(RESEARCHER) as first:
        purpose = RESEARCHER.purpose
        with flight_sql.Client(server.url, token=first.token, purpose=purpose) as second:
            sql = "SELECT count(*) AS n FROM care.patients"
            assert second.query(sql) == first.query(sql)


def test_a_changed_token_is_refused(server):
    with server.pyarrow(RESEARCHER) as client:
        name, value = client.token
    middle = len(value) // 2
    flipped = b"A" if value[middle : middle + 1] != b"A" else b"B"
    changed = value[:middle] + flipped + value[middle + 1 :]
    with flight_sql.Client(server.url, token=(name, changed)) as client:
        with pytest.raises(flight.FlightUnauthenticatedError):
            client.query("SELECT 1")


def test_a_closed_session_stays_closed(server):
    with server.pyarrow(RESEARCHER) as client, server.pyarrow(RESEARCHER) as other:
        client.query("SELECT 1")
        (status,) = client.close_session()
        assert flight_sql.parse(status) == {1: 1}, "the session is closed"
        with pytest.raises(flight.FlightUnauthenticatedError):
            client.query("SELECT 1")
        other.query("SELECT 1")


def test_failed_sign_ins_are_throttled(own_server):
    """Only the guesser waits at first; who is signed in goes on."""
    with own_server.pyarrow(HOSPITAL) as signed_in:
        texts = set()
        for attempt in range(12):
            # pyarrow tells RESOURCE_EXHAUSTED as an invalid argument.
            with pytest.raises((flight.FlightUnauthenticatedError, pa.ArrowInvalid)) as refused:
                flight_sql.Client(own_server.url, "rhea", f"guess {attempt}")
            texts.add(str(refused.value))
        assert any("throttled: too many failed sign-ins" in text for text in texts), texts
        signed_in.query("SELECT 1")


def test_the_password_may_hold_a_colon(own_server):
    with pytest.raises(flight.FlightUnauthenticatedError):
        flight_sql.Client(own_server.url, HOSPITAL.user, f"{PASSWORD}:more")
