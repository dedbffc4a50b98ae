"""One client that looks up orders by key over a kept connection: the C++ transport of pyarrow.

Run by the benchmark in a process of its own: it signs in, warms up, waits for a line on its
standard input, and prints what it measured as JSON.
"""

import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "clients"))

import flight_sql  # noqa: E402


def main():
    settings = json.loads(sys.argv[1])
    keys, options = settings["keys"], {}
    if settings["certificate"]:
        options["tls_root_certs"] = settings["certificate"].encode()
    client = flight_sql.Client(
        settings["url"], settings["user"], settings["password"],
        purpose=settings["purpose"], **options,
    )
    look_up = lambda key: client.query(f"SELECT * FROM orders WHERE o_orderkey = {key}")
    for key in keys[:50]:
        assert look_up(key).num_rows == 1
    print("ready", flush=True)
    sys.stdin.readline()
    latencies = []
    cpu, end, at = time.process_time(), time.perf_counter() + settings["seconds"], 0
    while (start := time.perf_counter()) < end:
        look_up(keys[at % len(keys)])
        latencies.append(time.perf_counter() - start)
        at += 1
    print(json.dumps({"latencies": latencies, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
