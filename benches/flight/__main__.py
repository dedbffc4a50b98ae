"""Measures a real server with real clients over TPC-H. See benches/README.md."""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading

import adbc_driver_manager
import pyarrow.flight as flight
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import cases  # noqa: E402
import clients  # noqa: E402
import servers  # noqa: E402
from crowd import connect, crowd  # noqa: E402
import reload as reloads  # noqa: E402
from federated import postgres, s3  # noqa: E402
from report import Report  # noqa: E402
from wire import wire  # noqa: E402

MIB = 1024 * 1024


def machinery(bench, report):
    """Governed against the same policy written by hand, in our server and in plain DataFusion."""
    engine = servers.Engine(bench.engine, bench.rows, servers.EXAMPLE / "lookups")
    with bench.server("machinery") as server, engine:
        full = clients.connect(server, "bench-full", "benchmark")
        for case in cases.machinery():
            governed = clients.connect(server, case.persona, case.purpose)
            runs = [
                lambda: clients.stream(server, governed, case.sql),
                lambda: clients.stream(server, full, case.by_hand),
            ]
            against_engine = case.name.startswith("Q")
            if against_engine:
                runs.append(lambda: clients.in_process(engine, case.in_process))
            try:
                costs = clients.medians(runs, bench.rounds)
            except (OSError, adbc_driver_manager.Error) as failure:
                report.failed("machinery", f"{case.name}: {failure}")
                continue
            if len({cost.rows for cost in costs}) != 1:
                report.note(f"{case.name}: row counts differ: {[cost.rows for cost in costs]}")
            report.ratio("machinery", case.name, costs[0], costs[1], "by hand, our server", at_most=1.03)
            if against_engine:
                report.ratio(
                    "engine", case.name, costs[0], costs[2], "by hand, in process",
                    at_most=1.05, grace=0.002,
                )
            governed.close()
        full.close()


def streams(bench, report):
    """Large results through ADBC, and what TLS adds."""
    with bench.server("plain") as plain, bench.server("tls", tls=True) as secured:
        for name, persona, sql, at_most in cases.STREAMS:
            connections = [clients.connect(s, persona, "benchmark") for s in (plain, secured)]
            runs = [
                lambda s=s, c=c: clients.stream(s, c, sql)
                for s, c in zip((plain, secured), connections)
            ]
            without, with_tls = clients.medians(runs, bench.rounds)
            first = 0.060 if "tenth" in name else None
            report.stream(name, without, at_most * bench.scale, first)
            report.ratio("TLS", name, with_tls, without, "without TLS")
            for connection in connections:
                connection.close()


def look_ups(bench, report):
    """One order by its key, and what the ledger's disk and TLS add."""
    keys = _keys(bench)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        kinds = [
            ("ledger on disk", bench.server("disk")),
            ("ledger in memory", bench.server("memory", ledger=memory)),
            ("ledger on disk, TLS", bench.server("disk-tls", tls=True)),
        ]
        for kind, server in kinds:
            with server:
                for count in (1, 8):
                    measured = _look_up(server, keys, count, bench.seconds)
                    goal = kind == "ledger on disk"
                    report.look_up(kind, count, measured, goal)


def reload(bench, report):
    """Changes of policies, alone and while orders are looked up."""
    keys = _keys(bench)
    reloads.reload(bench, report, lambda server: _look_up(server, keys, 1, bench.seconds))


def _keys(bench):
    """Keys of orders, in no order."""
    table = pq.read_table(bench.rows / "orders.parquet", columns=["o_orderkey", "o_orderdate"])
    keys = [k for k, d in zip(*(c.to_pylist() for c in table.columns)) if d.year >= 1993]
    random.Random(1).shuffle(keys)
    return keys[:2000]


def _look_up(server, keys, count, seconds):
    program = pathlib.Path(__file__).with_name("lookup.py")
    workers = []
    for worker in range(count):
        settings = {
            "url": server.url, "certificate": server.certificate, "user": "bench-point",
            "password": servers.PASSWORD, "purpose": "benchmark", "seconds": seconds,
            "keys": keys[worker::count],
        }
        workers.append(
            subprocess.Popen(
                [sys.executable, program, json.dumps(settings)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
        )
    for worker in workers:
        assert worker.stdout.readline() == "ready\n", "a look-up client did not start"
    cpu = server.cpu
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    results = [json.loads(worker.communicate()[0]) for worker in workers]
    latencies = sorted(l for result in results for l in result["latencies"])
    return {
        "queries_per_second": len(latencies) / seconds,
        "p50_ms": statistics.median(latencies) * 1e3,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
        "server_cpu_ms": (server.cpu - cpu) / len(latencies) * 1e3,
        "client_cpu_ms": sum(result["cpu"] for result in results) / len(latencies) * 1e3,
    }


def memory(bench, report):
    """The server's peak while streams are read, quickly and slowly."""
    with bench.server("memory-use") as server:
        connections = [clients.connect(server, "bench-full", "benchmark") for _ in range(8)]
        clients.stream(server, connections[0], "SELECT count(*) FROM lineitem")
        idle, _ = server.memory()
        for count, pause in ((1, 0.0), (4, 0.0), (8, 0.002)):
            server.forget_peak()
            readers = [
                threading.Thread(
                    target=clients.stream, args=(server, connection, "SELECT * FROM lineitem", pause)
                )
                for connection in connections[:count]
            ]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            _, peak = server.memory()
            report.memory(count, pause > 0, idle, peak, at_most=(300 + 32 * count) * MIB)
        for connection in connections:
            connection.close()


GROUPS = {
    "machinery": machinery, "streams": streams, "look-ups": look_ups, "memory": memory,
    "wire": wire, "connect": connect, "crowd": crowd, "postgres": postgres, "s3": s3,
    "reload": reload,
}


class Bench:
    """What was asked for on the command line."""

    def __init__(self, arguments, folder):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", servers.ROOT / "target"))
        self.scrim = arguments.scrim or target / "release" / "scrim"
        self.engine = arguments.engine or target / "release" / "examples" / "inprocess"
        self.sources = target / "release" / "examples" / "sources"
        self.scale = arguments.sf
        environment = f"sf{arguments.sf:g}"
        data = arguments.data.resolve()
        self.rows = data / environment
        self.rounds = arguments.rounds
        self.seconds = arguments.seconds
        self.folder = pathlib.Path(folder)
        self.world = servers.World(self.folder / "world", self.scrim, data, environment)

    def server(self, name, ledger=None, tls=False, limits=None):
        """A server with a ledger of its own, on the disk unless told otherwise."""
        config = self.world.configure(name, ledger or self.folder / f"ledger-{name}", tls, limits)
        return servers.Server(self.world, config, tls)


def main():
    parser = argparse.ArgumentParser(prog="benches/flight", description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"default: all ({', '.join(GROUPS)})")
    parser.add_argument("--sf", type=float, default=1.0, help="TPC-H scale factor (1)")
    parser.add_argument("--rounds", type=int, default=5, help="the median is over these (5)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each look-up run (10)")
    parser.add_argument("--scrim", type=pathlib.Path, help="the binary; default: the target folder's")
    parser.add_argument("--engine", type=pathlib.Path, help="the example `inprocess`; same default")
    parser.add_argument(
        "--data", type=pathlib.Path, default=servers.EXAMPLE / "data",
        help="the folder of the folders sf1, sf0.1, … (examples/tpch/data)",
    )
    parser.add_argument("--json", type=pathlib.Path, help="also write every figure here")
    parser.add_argument("--folder", help="for world and ledgers; must lie on a real disk")
    arguments = parser.parse_args()
    if unknown := set(arguments.groups) - set(GROUPS):
        parser.error(f"unknown group: {', '.join(unknown)}")
    report = Report(arguments.sf, arguments.rounds)
    parent = arguments.folder or os.environ.get("CARGO_TARGET_DIR", servers.ROOT / "target")
    with tempfile.TemporaryDirectory(dir=parent, prefix="bench-") as folder:
        bench = Bench(arguments, folder)
        for group in arguments.groups or GROUPS:
            try:
                GROUPS[group](bench, report)
            except (OSError, adbc_driver_manager.Error, flight.FlightError) as failure:
                # The other groups still tell something.
                report.failed(group, failure)
    report.print()
    if arguments.json:
        arguments.json.write_text(report.json())
    sys.exit(0 if report.good else 1)


if __name__ == "__main__":
    main()
