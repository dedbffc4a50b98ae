"""Postgres and S3 as sources, against Postgres itself and against the same files on this disk."""

import contextlib
import json
import re
import statistics
import subprocess
import time

import psycopg
import pyarrow.parquet as pq

import clients
import servers
from cases import COLUMNS

# Each: name, who asks us, which role asks Postgres, statement. The role's policy in Postgres is the
# contract's row rule.
SELECTIVE = [
    (
        "an order by its key", "bench-point", "point",
        "SELECT o_orderkey, o_custkey, o_totalprice FROM {orders} WHERE o_orderkey = 4000001",
    ),
    (
        "a hundred orders' lines", "bench-full", "full",
        "SELECT * FROM {lineitem} WHERE l_orderkey BETWEEN 3000000 AND 3000400",
    ),
    (
        "a month of a tenth", "bench-tenth", "tenth",
        "SELECT l_orderkey, l_quantity, l_discount FROM {lineitem} WHERE l_commitdate BETWEEN "
        "DATE '1995-03-01' AND DATE '1995-03-31'",
    ),
    (
        "a tenth, counted by flag", "bench-tenth", "tenth",
        "SELECT l_returnflag, count(*), sum(l_quantity) FROM {lineitem} GROUP BY l_returnflag",
    ),
]


class Sources:
    """A Postgres server and an S3 server that hold the rows; see `benches/sources.rs`."""

    def __init__(self, program, rows):
        self.process = subprocess.Popen(
            [program, str(rows)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.places = json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def ask(self, command):
        """One command: `copy TABLE`, `get KEY` or `counts`."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def postgres(self, role):
        """A connection of psycopg."""
        at = self.places["postgres"]
        return psycopg.connect(
            host=at["host"], port=at["port"], dbname=at["database"], user=role, password=role,
            sslmode="disable", autocommit=True,
        )


def place(bench, sources):
    """Adds the environments `postgres` and `s3` to the contracts of the world."""
    pg, s3 = sources.places["postgres"], sources.places["s3"]
    credentials = "customProperties: [{property: credentials, value: %s}%s]"
    for path in (bench.world.folder / "policies" / "contracts").glob("*.yaml"):
        text = path.read_text()
        table = path.name.split(".")[0]
        local = re.search(rf"(?m)^  - .*environment: {bench.world.environment},.*$", text).group(0)
        lines = []
        for name in ("postgres", "s3"):
            lines.append(
                re.sub(r"server: [^,]+", f"server: {name}", local)
                .replace(f"environment: {bench.world.environment}", f"environment: {name}")
            )
        if table in ("lineitem", "orders"):
            off = ", {property: tls, value: off}"
            lines[0] = (
                f"  - {{server: postgres, type: postgres, environment: postgres, host: {pg['host']}, "
                f"port: {pg['port']}, database: {pg['database']}, schema: public, "
                f"{credentials % ('postgres', off)}}}"
            )
            lines[1] = (
                f"  - {{server: s3, type: s3, environment: s3, format: parquet, "
                f"location: \"s3://{s3['bucket']}/{table}.parquet\", endpointUrl: \"{s3['endpoint']}\", "
                f"{credentials % ('s3', '')}}}"
            )
        path.write_text(text.replace("servers:\n", "servers:\n" + "\n".join(lines) + "\n"))
    secrets = bench.world.folder / "secrets.yaml"
    secrets.write_text(
        "postgres: {user: scrim, password: scrim}\n"
        f"s3: {{access_key_id: {s3['access_key_id']}, secret_access_key: {s3['secret_access_key']}}}\n"
    )
    secrets.chmod(0o600)


@contextlib.contextmanager
def server(bench, environment):
    """A server whose tables lie in that environment."""
    config = bench.world.configure(f"from-{environment}", bench.folder / f"ledger-{environment}")
    text = config.read_text().replace(
        f"environment: {bench.world.environment}", f"environment: {environment}"
    )
    config.write_text(text + "secrets: {file: secrets.yaml}\n")
    with servers.Server(bench.world, config) as running:
        yield running


def _fetch(connection, sql):
    wall = time.perf_counter()
    with connection.cursor(binary=True) as cursor:
        rows = len(cursor.execute(sql).fetchall())
    took = time.perf_counter() - wall
    return clients.Cost(rows, took, took, took)


def _told(answer):
    return clients.Cost(answer["rows"], answer["seconds"], answer["seconds"], answer["seconds"])


def postgres(bench, report):
    """Scans and selective queries of tables in Postgres."""
    with Sources(bench.sources, bench.rows) as sources:
        place(bench, sources)
        with server(bench, "postgres") as running:
            full = clients.connect(running, "bench-full", "benchmark")
            columns = ", ".join(f"max({column})" for column in COLUMNS)
            everything = f"SELECT {columns} FROM lineitem"
            part = f"SELECT * FROM lineitem LIMIT {int(600_000 * bench.scale)}"
            plain = sources.postgres("full")
            scanned, loop, streamed, fetched = clients.medians(
                [
                    lambda: clients.stream(running, full, everything),
                    lambda: _told(sources.ask("copy lineitem")),
                    lambda: clients.stream(running, full, "SELECT * FROM lineitem"),
                    lambda: _fetch(plain, part),
                ],
                bench.rounds,
            )
            # Every value is read and none goes to the client, as in the plain loop.
            scanned = scanned._replace(rows=loop.rows)
            report.faster("postgres", "scan of lineitem", scanned, loop, "COPY, a plain loop", at_least=1.0)
            report.faster("postgres", "all of lineitem to a client", streamed, fetched, "psycopg's fetchall", at_least=3.0)
            full.close()
            for name, persona, role, sql in SELECTIVE:
                governed = clients.connect(running, persona, "benchmark")
                own = sources.postgres(role)
                ours, theirs = clients.medians(
                    [
                        lambda: clients.stream(running, governed, sql.format(lineitem="lineitem", orders="orders")),
                        lambda: _fetch(own, sql.format(lineitem="public.lineitem", orders="public.orders")),
                    ],
                    bench.rounds,
                )
                if ours.rows != theirs.rows:
                    report.note(f"{name}: row counts differ: {ours.rows}, {theirs.rows}")
                report.slower("postgres", name, ours, theirs, "Postgres with row-level security", at_most=1.3)
                governed.close()
                own.close()


def s3(bench, report):
    """Scans of Parquet in an object store on this machine."""
    columns = "l_orderkey, l_extendedprice"
    with Sources(bench.sources, bench.rows) as sources:
        place(bench, sources)
        with server(bench, "s3") as store, server(bench, bench.world.environment) as disk:
            there = clients.connect(store, "bench-full", "benchmark")
            here = clients.connect(disk, "bench-full", "benchmark")
            for name, sql in (
                ("all of lineitem", "SELECT * FROM lineitem"),
                ("two columns, aggregated", "SELECT sum(l_extendedprice), max(l_orderkey) FROM lineitem"),
            ):
                far, near = clients.medians(
                    [lambda: clients.stream(store, there, sql), lambda: clients.stream(disk, here, sql)],
                    bench.rounds,
                )
                before = sources.ask("counts")
                clients.stream(store, there, sql)
                after = sources.ask("counts")
                read = after["bytes"] - before["bytes"]
                transfer = statistics.median(
                    sources.ask(f"get lineitem.parquet {read}")["seconds"] for _ in range(bench.rounds)
                )
                needed = _chunk_bytes(bench.rows / "lineitem.parquet", sql, columns)
                report.store(
                    name, far.wall, near.wall, transfer, at_most=1.15,
                    read=read, needed=needed, requests=after["requests"] - before["requests"],
                )
            there.close()
            here.close()


def _chunk_bytes(path, sql, columns):
    """Bytes of the column chunks that a statement needs."""
    metadata = pq.read_metadata(path)
    wanted = None if "*" in sql else set(columns.split(", "))
    total = 0
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            if wanted is None or chunk.path_in_schema in wanted:
                total += chunk.total_compressed_size
    return total
