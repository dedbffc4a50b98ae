"""The two clients for Node that npm has: one over Rust's arrow-flight, one in JavaScript alone.

Neither prepares statements: the first does so by itself, the second sends an action's message in
the place of the action. And the first holds no root certificates, so it reaches no server by TLS.
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest
from people import HOSPITAL, INSURER, PASSWORD, RESEARCHER

PROBE = pathlib.Path(__file__).with_name("node") / "probe.mjs"
STATEMENTS = [
    "SELECT * FROM care.patients WHERE ward = 'Lighthouse'",
    "SELECT * FROM care.visits",
    "SELECT ward FROM care.patients WHERE false",
    "SELECT 1 AS i, 'é' AS s, true AS b, 1.5 AS f, DATE '2026-01-02' AS d, NULL AS nothing, 2 AS i2",
    "SELECT national_id FROM care.patients",
]


@pytest.fixture
def probe(node, tmp_path):
    """Runs the probe and returns what it read."""
    program, packages = node
    (tmp_path / "node_modules").symlink_to(packages)
    shutil.copy(PROBE, tmp_path)

    def run(service, client, persona, *statements):
        environment = dict(os.environ)
        if service.authority:
            environment["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(service.folder / "authority.pem")
        plaintext = "false" if service.authority else "true"
        done = subprocess.run(
            [
                program, tmp_path / PROBE.name, client, service.host, str(service.port), plaintext,
                persona.user, PASSWORD, persona.purpose, *statements,
            ],
            capture_output=True, text=True, timeout=60, env=environment,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("client", ["lakehouse", "gizmosql"])
def test_node_reads_what_python_reads(server, probe, client):
    told = probe(server, client, RESEARCHER, *STATEMENTS)
    assert told["catalogs"] == ["scrim"]
    assert {"care", "insurance"} <= set(told["schemas"])
    assert {"patients", "visits", "claims"} <= set(told["tables"])
    *results, refused = told["results"]
    assert "refused" in refused, "a hidden column"
    with server.adbc(RESEARCHER) as connection, connection.cursor() as cursor:
        for sql, result in zip(STATEMENTS, results):
            cursor.execute(sql)
            table = cursor.fetch_arrow_table()
            assert [name for name, _ in result["columns"]] == table.schema.names, sql
            assert result["rows"] == table.num_rows, sql
    patient, _, none, literals = (result["first"] for result in results)
    assert none is None and patient["ward"] == "Lighthouse"
    assert (literals["i"], literals["s"], literals["b"], literals["f"]) == (1, "é", True, 1.5)
    assert literals["nothing"] is None


def test_node_over_tls(tls_server, probe):
    told = probe(tls_server, "gizmosql", HOSPITAL, *STATEMENTS[:2])
    assert told["about"] == {"server": "Scrim", "readOnly": True, "quote": '"'}
    assert told["types"] == ["TABLE"]
    assert told["results"][0]["rows"] == 1 and told["results"][1]["rows"] > 10_000


def test_node_is_told_why_it_is_refused(server, probe):
    (refused,) = probe(server, "gizmosql", INSURER, "SELECT nothing FROM care.patients")["results"]
    assert "name-not-found: " in refused["refused"]
