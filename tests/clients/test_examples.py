"""The programs under examples/clients run as they stand there, with TLS and without."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from people import HOSPITAL, PASSWORD, RESEARCHER

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "clients"


def run(service, program, persona, *more):
    """Runs a program of examples/clients and returns what it prints."""
    arguments = [service.url, persona.user, PASSWORD, persona.purpose, *more]
    environment = dict(os.environ)
    if service.authority:
        authority = str(service.folder / "authority.pem")
        # Where Go looks for the authorities that it trusts, and gRPC in C++ and in JavaScript.
        for name in ("SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"):
            environment[name] = authority
    done = subprocess.run(
        [*program, *arguments], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def example(service):
    """Runs one of the Python programs."""
    return lambda name, *rest: run(service, [sys.executable, EXAMPLES / name], *rest)


@pytest.fixture
def node_example(service, node, tmp_path):
    """Runs one of the Node programs, in a folder with the packages that it imports."""
    program, packages = node
    (tmp_path / "node_modules").symlink_to(packages)

    def start(name, *rest):
        shutil.copy(EXAMPLES / name, tmp_path)
        return run(service, [program, tmp_path / name], *rest)

    return start


def test_adbc(example):
    hospital = example("adbc.py", HOSPITAL)
    assert "table: care.patients" in hospital and "physician_email: shown to you" in hospital
    researcher = example("adbc.py", RESEARCHER)
    assert "table: care.visits" in researcher and "shown to you" not in researcher
    assert hospital.splitlines()[-2] != researcher.splitlines()[-2], "not the same visits"


def test_pyarrow(example):
    sql = "SELECT ward, count(*) AS n FROM care.patients WHERE ward = 'Lighthouse' GROUP BY ward"
    assert example("pyarrow_flight.py", RESEARCHER, sql) == "[{'ward': 'Lighthouse', 'n': 1}]\n"


def test_pandas(example):
    lines = example("pandas_adbc.py", RESEARCHER).splitlines()
    assert lines[0].split() == ["ward", "visits", "mean_cost"] and len(lines) == 5
    assert lines[-1] == "patients of the Lighthouse: 1"


def test_polars(example):
    patients, visits = example("polars_adbc.py", RESEARCHER).splitlines()
    assert patients == "patients of the Lighthouse: 1 Date"
    assert int(visits.removeprefix("visits: ")) > 10_000


def test_duckdb(example):
    cancer, heart = example("duckdb_adbc.py", RESEARCHER).splitlines()
    assert cancer.startswith("cancer: ") and heart.startswith("heart: ")


def test_sqlalchemy(example):
    hospital = example("sqlalchemy_dialect.py", HOSPITAL).splitlines()
    researcher = example("sqlalchemy_dialect.py", RESEARCHER).splitlines()
    assert researcher[0] == "table: care.patients, 9 columns"
    assert hospital[0].startswith("table: care.patients, ") and hospital[0] != researcher[0]
    assert researcher[-1] == "patients of the Lighthouse: 1"


@pytest.mark.parametrize("name", ["node_lakehouse.mjs", "node_gizmosql.mjs"])
def test_node(service, node_example, name):
    if service.authority and name == "node_lakehouse.mjs":
        # Built without any root certificates, it reaches no server by TLS. Once it does, say so
        # in the table of examples/clients/README.md.
        with pytest.raises(AssertionError, match="failed setting up flight sql client"):
            node_example(name, HOSPITAL)
        return
    hospital = node_example(name, HOSPITAL)
    assert "table: care.patients" in hospital and "physician_email: shown to you" in hospital
    researcher = node_example(name, RESEARCHER)
    assert "patients in the north: " in researcher and "shown to you" not in researcher
    assert hospital.splitlines()[-2] != researcher.splitlines()[-2], "not the same patients"
