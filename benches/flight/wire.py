"""Large results on the wire: against a bare server, and byte by byte."""

import contextlib
import pathlib
import subprocess
import sys
import tempfile

import adbc_driver_flightsql.dbapi
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

import clients
import servers
from tap import Tap

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
ALL = "SELECT * FROM lineitem"
# A CSV file is the one source that a server holds in memory, and it may have 256 MiB.
CSV_ROWS_MAX = 1_800_000
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: lineitem-in-memory
version: 1.0.0
status: active
domain: tpch
servers:
  - {server: memory, type: local, environment: ENVIRONMENT, path: lineitem.csv, format: csv}
schema:
  - name: lineitem_in_memory
    properties:
PROPERTIES
customProperties:
  - property: accessPolicy
    value:
      purposes: [benchmark]
      profiles:
        full: {default: clear}
"""
AGREEMENT = """
apiVersion: v0.9.0
kind: AccessAgreement
id: bench-full-lineitem-in-memory
status: active
contract: {id: lineitem-in-memory, version: "^1"}
profile: full
consumer: {organisation: bench-full, who: "principal.org = 'bench-full'"}
purpose: benchmark
start: 2024-01-01
end: 2099-12-31
"""


class Bare:
    """`bare.py` in a process of its own, over the batches of a file."""

    def __init__(self, file):
        program = pathlib.Path(__file__).with_name("bare.py")
        self.process = subprocess.Popen(
            [sys.executable, program, file], stdout=subprocess.PIPE, text=True
        )
        port = self.process.stdout.readline().strip()
        assert port, "the bare server did not start"
        self.url = f"grpc://127.0.0.1:{port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def cpu(self):
        """CPU seconds so far."""
        return servers.cpu_seconds(self.process.pid)


def wire(bench, report):
    """Throughput against the same batches from a bare server, and what crosses the network."""
    write_memory_table(bench)
    with bench.server("wire") as server:
        for name, sql, at_least in (
            ("all of lineitem from Parquet", ALL, 0.55),
            ("lineitem in memory (CSV)", "SELECT * FROM lineitem_in_memory", 0.90),
        ):
            compact = against_bare(bench, report, server, name, sql, at_least)
            on_the_wire(report, server, name, sql, compact)


def against_bare(bench, report, server, name, sql, at_least):
    """Round by round in turn; returns the size of the batches without any waste."""
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(clients.connect(server, "bench-full", "benchmark"))
        # Not on a disk: both servers hold, or have just read, what they send.
        file = stack.enter_context(tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".arrow"))
        compact = keep(connection, sql, file.name)
        bare = stack.enter_context(Bare(file.name))
        plain = adbc_driver_flightsql.dbapi.connect(bare.url, autocommit=True)
        stack.enter_context(plain)
        ours, theirs = clients.medians(
            [
                lambda: clients.stream(server, connection, sql),
                lambda: clients.stream(bare, plain, sql),
            ],
            bench.rounds,
        )
    assert ours.rows == theirs.rows
    report.throughput(name, ours, theirs, compact, at_least)
    return compact


def keep(connection, sql, path):
    """Writes the batches of a result just as they came; returns their compact size."""
    size = 0
    with connection.cursor() as cursor:
        cursor.execute(sql)
        batches = cursor.fetch_record_batch()
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
                size += batch.nbytes
    return size


def on_the_wire(report, server, name, sql, compact):
    """One more run, with every frame looked at."""
    port = int(server.url.rsplit(":", 1)[1])
    with Tap(port) as tap, clients.connect(server, "bench-full", "benchmark", tap.url) as connection:
        clients.stream(server, connection, sql)
        report.wire(name, tap.bytes, compact, tap.largest_message, MESSAGE_BYTES_MAX)


def write_memory_table(bench):
    """Adds a table that the server reads into its memory when it starts."""
    folder = bench.world.folder
    rows = pyarrow.parquet.read_table(bench.rows / "lineitem.parquet").slice(0, CSV_ROWS_MAX)
    fields = [field.with_type(in_csv(field.type)) for field in rows.schema]
    pyarrow.csv.write_csv(rows.cast(pa.schema(fields)), folder / "lineitem.csv")
    properties = "\n".join(f"      - {{name: {f.name}, logicalType: {logical(f.type)}}}" for f in fields)
    contract = folder / "policies" / "contracts" / "lineitem-in-memory.odcs.yaml"
    text = CONTRACT.replace("PROPERTIES", properties)
    contract.write_text(text.replace("ENVIRONMENT", bench.world.environment))
    agreement = folder / "policies" / "agreements" / "bench-full-lineitem-in-memory.yaml"
    agreement.write_text(AGREEMENT)


def in_csv(kind):
    """A column's type that CSV can hold: it has no decimals."""
    if pa.types.is_decimal(kind):
        return pa.float64()
    return pa.string() if pa.types.is_string_view(kind) else kind


def logical(kind):
    """A column's type in the words of a contract."""
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind):
        return "number"
    return "date" if pa.types.is_date(kind) else "string"
