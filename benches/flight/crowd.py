"""Connections: what opening one takes, and many at once."""

import concurrent.futures
import json
import pathlib
import statistics
import subprocess
import sys
import time

import clients

CLIENTS = 64
PROCESSES = 8
SECONDS = 30
CONNECTIONS = 200
SMALL = "SELECT r_name FROM region WHERE r_regionkey = 3"
PERSONA, PURPOSE = "analyst", "market-analysis"


def connect(bench, report):
    """Connect with a password, sign in, and ask for one row of a small table."""
    with bench.server("connect") as server:
        for name, run, at_most in (
            ("C++ client (pyarrow)", _pyarrow, 0.004),
            ("ADBC", _adbc, 0.010),
        ):
            # The password's slow hash is paid once, not per connection.
            for _ in range(20):
                run(server)
            times = sorted(run(server) for _ in range(CONNECTIONS))
            report.connect(name, statistics.median(times), _percentile(times, 0.99), at_most)


def _pyarrow(server):
    start = time.perf_counter()
    client = clients.pyarrow(server.url, PERSONA, PURPOSE)
    rows = client.query(SMALL).num_rows
    took = time.perf_counter() - start
    assert rows == 1
    client.close_session()
    client.flight.close()
    return took


def _adbc(server):
    start = time.perf_counter()
    connection = clients.connect(server, PERSONA, PURPOSE)
    with connection.cursor() as cursor:
        cursor.execute(SMALL)
        rows = cursor.fetchall()
        took = time.perf_counter() - start
    assert len(rows) == 1
    connection.close()
    return took


def crowd(bench, report):
    """Many clients at once, each with a connection and a session of its own."""
    with bench.server("crowd", limits={"concurrent_per_principal": 2 * CLIENTS}) as server:
        program = pathlib.Path(__file__)
        settings = {
            "url": server.url, "clients": CLIENTS // PROCESSES, "seconds": SECONDS,
        }
        workers = [
            subprocess.Popen(
                [sys.executable, program, json.dumps(settings)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for _ in range(PROCESSES)
        ]
        for worker in workers:
            assert worker.stdout.readline() == "ready\n", "a client did not start"
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        everyone = [one for w in workers for one in json.loads(w.communicate()[0])]
    times = sorted(t for one in everyone for t in one["times"])
    counts = [len(one["times"]) for one in everyone]
    errors = [error for one in everyone for error in one["errors"]]
    report.crowd(
        CLIENTS, SECONDS, counts, statistics.median(times), _percentile(times, 0.99), errors
    )


def _percentile(ordered, share):
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def main():
    """Some of the clients, in a process of their own: one thread for each."""
    settings = json.loads(sys.argv[1])
    everyone = [
        clients.pyarrow(settings["url"], PERSONA, PURPOSE) for _ in range(settings["clients"])
    ]
    for client in everyone:
        client.query(SMALL)
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.perf_counter() + settings["seconds"]
    with concurrent.futures.ThreadPoolExecutor(len(everyone)) as pool:
        print(json.dumps(list(pool.map(lambda client: _ask_until(client, end), everyone))))


def _ask_until(client, end):
    times, errors = [], []
    while (start := time.perf_counter()) < end:
        try:
            assert client.query(SMALL).num_rows == 1
            times.append(time.perf_counter() - start)
        except Exception as error:  # noqa: BLE001 (every kind counts)
            errors.append(str(error))
            time.sleep(0.01)
    return {"times": times, "errors": errors}


if __name__ == "__main__":
    main()
