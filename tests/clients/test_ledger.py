"""The ledger knows every query, and a server that is asked to stop leaves none open."""

import threading

import adbc_driver_manager
import pytest
from people import HOSPITAL, INSURER, NOBODY, RESEARCHER


def ask(server, persona, sql):
    with server.adbc(persona) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def shown(server, *arguments):
    result = server.run("ledger", "show", server.ledger, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_inv_05_every_query_is_in_the_ledger_and_closed(own_server):
    sql = "SELECT ward, count(*) AS n FROM care.patients GROUP BY ward"
    for persona in (HOSPITAL, INSURER, RESEARCHER):
        assert ask(own_server, persona, sql)
    with pytest.raises(adbc_driver_manager.Error):
        ask(own_server, NOBODY, "SELECT * FROM care.patients")
    with own_server.adbc(HOSPITAL) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM care.visits")
        cursor.fetch_record_batch().read_next_batch()

    assert own_server.stop() == 0, "SIGTERM is an orderly end"

    verified = own_server.run("ledger", "verify", own_server.ledger)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    everything = shown(own_server)
    for persona in (HOSPITAL, INSURER, RESEARCHER, NOBODY):
        assert persona.user in everything
    assert "canary" not in own_server.ledger.read_text()
    open_ones = shown(own_server, "--outcome", "open")
    assert not any(p.user in open_ones for p in (HOSPITAL, INSURER, RESEARCHER)), open_ones
    assert NOBODY.user in shown(own_server, "--outcome", "refused")
    assert RESEARCHER.user not in shown(own_server, "--principal", HOSPITAL.user)


def test_a_changed_ledger_is_noticed_and_its_line_named(own_server):
    for persona in (HOSPITAL, INSURER):
        ask(own_server, persona, "SELECT count(*) FROM care.patients")
    own_server.stop()
    lines = own_server.ledger.read_bytes().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines, 1) if b"count(*)" in line)
    lines[number - 1] = lines[number - 1].replace(b"count(*)", b"count(1)", 1)
    own_server.ledger.write_bytes(b"".join(lines))

    verified = own_server.run("ledger", "verify", own_server.ledger)
    assert verified.returncode != 0
    assert str(number) in verified.stdout + verified.stderr
    started = own_server.run("serve", "--config", own_server.folder / "scrim.yaml")
    assert started.returncode != 0, "a damaged ledger does not start"


def test_a_stream_is_drained_when_the_server_stops(own_server):
    codes = []
    stopping = threading.Thread(target=lambda: codes.append(own_server.stop()))
    with own_server.pyarrow(HOSPITAL) as client:
        info = client.info("CommandStatementQuery", f1="SELECT * FROM care.visits")
        reader = client.flight.do_get(info.endpoints[0].ticket, client.options)
        rows = reader.read_chunk().data.num_rows
        stopping.start()
        try:
            rows += sum(chunk.data.num_rows for chunk in reader)
        finally:
            stopping.join()
    assert codes == [0]
    assert rows > 100_000


def test_a_second_server_on_the_same_ledger_does_not_start(own_server):
    second = own_server.run("serve", "--config", own_server.folder / "scrim.yaml")
    assert second.returncode != 0
    assert "ledger" in (second.stdout + second.stderr).lower()
    assert ask(own_server, HOSPITAL, "SELECT 1") == [(1,)]
