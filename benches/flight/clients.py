"""Clients and what they cost."""

import contextlib
import pathlib
import statistics
import sys
import time
from typing import NamedTuple

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "clients"))

import flight_sql  # noqa: E402
from servers import PASSWORD  # noqa: E402

OPTIONS = adbc_driver_flightsql.DatabaseOptions


class Cost(NamedTuple):
    """What one run took. Seconds; the CPU is that of client and server together."""

    rows: int
    cpu: float
    wall: float
    first: float


def connect(server, persona, purpose, url=None):
    """An ADBC connection."""
    settings = {
        "username": persona,
        "password": PASSWORD,
        OPTIONS.RPC_CALL_HEADER_PREFIX.value + "x-scrim-purpose": purpose,
    }
    if server.certificate:
        settings[OPTIONS.TLS_ROOT_CERTS.value] = server.certificate
    return adbc_driver_flightsql.dbapi.connect(url or server.url, db_kwargs=settings, autocommit=True)


def pyarrow(url, persona, purpose):
    """A client of Arrow C++ with a connection of its own: gRPC would share those of a process."""
    alone = [("grpc.use_local_subchannel_pool", 1)]
    return flight_sql.Client(url, persona, PASSWORD, purpose, generic_options=alone)


def stream(server, connection, sql, pause=0.0):
    """Runs a statement and reads its result batch by batch, keeping none."""
    cpu, wall = server.cpu + time.process_time(), time.perf_counter()
    rows, first = 0, None
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        for batch in cursor.fetch_record_batch():
            first = first or time.perf_counter() - wall
            rows += batch.num_rows
            if pause:
                time.sleep(pause)
    took = time.perf_counter() - wall
    return Cost(rows, server.cpu + time.process_time() - cpu, took, first or took)


def in_process(engine, sql):
    """Runs a statement in plain DataFusion."""
    cpu, wall = engine.cpu, time.perf_counter()
    rows = engine.run(sql)
    took = time.perf_counter() - wall
    return Cost(rows, engine.cpu - cpu, took, took)


def medians(runs, rounds):
    """Runs each of `runs` in turn, round by round, so that what disturbs one disturbs all.

    Short ones are repeated inside of a round; the first round only warms up.
    """
    repeat = []
    for run in runs:
        run()
        repeat.append(max(1, min(20, int(0.5 / max(run().wall, 1e-4)))))
    costs = [[] for _ in runs]
    for _ in range(rounds):
        for run, times, into in zip(runs, repeat, costs):
            many = [run() for _ in range(times)]
            into.append(Cost(many[0].rows, *(statistics.fmean(c[i] for c in many) for i in (1, 2, 3))))
    return [
        Cost(into[0].rows, *(statistics.median(c[i] for c in into) for i in (1, 2, 3)))
        for into in costs
    ]
