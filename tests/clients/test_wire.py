"""What really crosses the network, byte by byte."""

import re
import socket
import threading

import pytest
from people import CANARY, CANARY_OF_ALL, HOSPITAL, INSURER, RESEARCHER

TABLES = ["care.patients", "care.visits", "insurance.claims"]
OWN = {HOSPITAL: ["care.patients", "care.visits"], INSURER: ["insurance.claims"], RESEARCHER: []}


class Tap:
    """Stands between a client and the server and keeps what the server sends."""

    def __init__(self, port):
        self.received = bytearray()
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"grpc://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            pumps = [(client, server, None), (server, client, self.received)]
            for pump in pumps:
                threading.Thread(target=self._pump, args=pump, daemon=True).start()

    @staticmethod
    def _pump(source, sink, keep):
        try:
            while data := source.recv(1 << 16):
                if keep is not None:
                    keep += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture
def tap(server):
    tap = Tap(server.port)
    yield tap
    tap.close()


def queries(persona):
    """What a curious principal asks; owners' own tables show their canaries, so not those."""
    for table in TABLES:
        if table not in OWN[persona]:
            yield f"SELECT * FROM {table}"
            yield f"SELECT * FROM {table} ORDER BY 1 LIMIT 7"
            yield f"SELECT DISTINCT region FROM {table}"
            yield f"EXPLAIN SELECT * FROM {table}"
            yield f"SELECT count(*), max(region) FROM {table}"
    yield "SELECT * FROM information_schema.columns"


@pytest.mark.parametrize("persona", OWN, ids=lambda p: p.user)
def test_inv_16_no_byte_of_a_hidden_value_is_sent(server, tap, persona):
    with server.adbc(persona, url=tap.url) as connection, connection.cursor() as cursor:
        for sql in queries(persona):
            cursor.execute(sql)
            table = cursor.fetch_arrow_table()
            for buffer in (b for c in table.columns for k in c.chunks for b in k.buffers() if b):
                assert CANARY.encode() not in buffer.to_pybytes(), sql
    assert len(tap.received) > 100_000
    assert CANARY.encode() not in tap.received


@pytest.mark.parametrize("persona", OWN, ids=lambda p: p.user)
def test_inv_16_nobody_receives_what_a_guard_withholds(server, tap, persona):
    with server.adbc(persona, url=tap.url) as connection, connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {table}")
            assert cursor.fetch_arrow_table().num_rows > 0
    assert CANARY_OF_ALL.encode() not in tap.received
    # The tap works: an owner does receive the canaries in rows that are open to it.
    assert bool(OWN[persona]) == bool(re.search(CANARY.encode() + b"(name|iban)", tap.received))


def test_no_message_is_larger_than_every_client_accepts(server):
    """gRPC's frames say their length; the tap reads no HTTP/2, so a client with the limit does."""
    with server.adbc(HOSPITAL) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT *, notes || notes || notes || notes AS wide FROM care.visits")
        assert sum(batch.num_rows for batch in cursor.fetch_record_batch()) > 100_000
