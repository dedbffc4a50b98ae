"""The programs under examples/clients run, and say what they promise."""

import pathlib
import subprocess
import sys

from people import HOSPITAL, PASSWORD, RESEARCHER

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "clients"


def run(server, name, persona, *more):
    arguments = [server.url, persona.user, PASSWORD, persona.purpose, *more]
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_adbc(server):
    hospital = run(server, "adbc.py", HOSPITAL)
    assert "table: care.patients" in hospital and "physician_email: shown to you" in hospital
    researcher = run(server, "adbc.py", RESEARCHER)
    assert "table: care.visits" in researcher and "shown to you" not in researcher
    assert hospital.splitlines()[-2] != researcher.splitlines()[-2], "not the same visits"


def test_pyarrow(server):
    sql = "SELECT ward, count(*) AS n FROM care.patients WHERE ward = 'Lighthouse' GROUP BY ward"
    assert run(server, "pyarrow_flight.py", RESEARCHER, sql) == "[{'ward': 'Lighthouse', 'n': 1}]\n"
