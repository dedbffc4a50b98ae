"""The command as its users type it."""

import json
import subprocess

import pytest
from people import CANARY, HOSPITAL, INSURER, NOBODY, PASSWORD, RESEARCHER
from serving import Server


def run(binary, folder, *arguments, **options):
    return subprocess.run(
        [binary, *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, timeout=120, **options,
    )


def query(server, persona, *arguments):
    return run(
        server.binary, server.folder, "query", "--url", server.url, "--user", persona.user,
        "--password-file", "-", "--purpose", persona.purpose, *arguments, input=PASSWORD + "\n",
    )


def test_the_demo_shows_three_people_and_no_canary(demo):
    _, printout = demo
    for persona in (HOSPITAL, INSURER, RESEARCHER):
        assert persona.user in printout
    assert "care.patients" in printout and "agreement" in printout
    assert CANARY not in printout


def test_the_demos_policies_check_and_pass_their_tests(binary, world):
    checked = run(binary, world, "policy", "check", "policies", "--config", "scrim.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = run(binary, world, "policy", "test", "policies", "--config", "scrim.yaml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_mistake_is_told_at_once_with_its_place(binary, own_world):
    contract = own_world / "policies" / "contracts" / "patients.odcs.yaml"
    text = contract.read_text()
    text = text.replace("mask: top_code", "mask: top_cod").replace("unit: month", "unt: month", 1)
    contract.write_text(text)
    checked = run(binary, own_world, "policy", "check", "policies", "--config", "scrim.yaml")
    told = checked.stdout + checked.stderr
    assert checked.returncode == 2
    for mistake in ("top_cod,", "unt:"):
        line = 1 + text[: text.index(mistake)].count("\n")
        assert f"patients.odcs.yaml:{line}:" in told, told
    assert "top_code" in told and "unit" in told, "it names what was meant"
    served = run(binary, own_world, "serve", "--config", "scrim.yaml")
    assert served.returncode == 2


def test_explain_names_the_clause_and_its_place(binary, world):
    explained = run(
        binary, world, "explain", "--config", "scrim.yaml", "--as", RESEARCHER.user,
        "--purpose", RESEARCHER.purpose, "SELECT * FROM care.patients",
    )
    assert explained.returncode == 0, explained.stderr
    for word in ("meridian-patients", "research", "patients.odcs.yaml:", "pseudonymize"):
        assert word in explained.stdout, explained.stdout


@pytest.mark.parametrize("form", ["table", "csv", "json", "arrow"])
def test_query_prints_every_format(server, form):
    sql = "SELECT patient_id, ward FROM care.patients WHERE ward = 'Lighthouse'"
    done = subprocess.run(
        [
            server.binary, "query", "--url", server.url, "--user", HOSPITAL.user,
            "--password-file", "-", "--purpose", HOSPITAL.purpose, "--format", form, sql,
        ],
        capture_output=True, input=PASSWORD.encode() + b"\n", timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert b"NG-000001" in done.stdout and b"Lighthouse" in done.stdout
    if form == "json":
        assert json.loads(done.stdout) == {"patient_id": "NG-000001", "ward": "Lighthouse"}
    if form == "csv":
        assert done.stdout == b"patient_id,ward\nNG-000001,Lighthouse\n"


def test_a_refusal_is_an_exit_code_and_a_sentence(server):
    refused = query(server, NOBODY, "SELECT * FROM insurance.claims")
    assert refused.returncode == 1 and refused.stdout == ""
    assert "claims" in refused.stderr and "insurance.claims" in refused.stderr
    wrong = query(server, NOBODY._replace(user="nobody"), "SELECT 1")
    assert wrong.returncode == 1


def test_inv_15_keys_that_others_can_read_are_refused(binary, own_world):
    keys = own_world / "keys.json"
    assert keys.stat().st_mode & 0o077 == 0, "they are made for their owner only"
    keys.chmod(0o644)
    served = run(binary, own_world, "serve", "--config", "scrim.yaml")
    assert served.returncode != 0
    assert "keys.json" in served.stderr and "600" in served.stderr


def test_rotated_keys_keep_tokens_of_pseudonyms(binary, own_world, own_server):
    sql = "SELECT patient_id FROM care.patients WHERE ward = 'Lighthouse'"
    before = query(own_server, RESEARCHER, "--format", "csv", sql)
    own_server.stop()
    assert run(binary, own_world, "keys", "rotate", "--file", "keys.json").returncode == 0
    listed = run(binary, own_world, "keys", "list", "--file", "keys.json").stdout
    secrets = json.dumps(json.loads((own_world / "keys.json").read_text()))
    assert not any(word in secrets and len(word) > 40 for word in listed.split())
    again = Server(binary, own_world)
    try:
        after = query(again, RESEARCHER, "--format", "csv", sql)
    finally:
        again.stop()
    assert before.returncode == after.returncode == 0
    assert before.stdout == after.stdout


def test_an_account_that_is_added_can_sign_in(binary, own_world):
    added = run(
        binary, own_world, "accounts", "add", "--file", "accounts.yaml", "--id", "greta",
        "--org", "northgate", "--group", "analyst", "--password-stdin", input="Ängste: 42\n",
    )
    assert added.returncode == 0, added.stderr
    assert "Ängste" not in (own_world / "accounts.yaml").read_text()
    server = Server(binary, own_world)
    try:
        done = run(
            binary, own_world, "query", "--url", server.url, "--user", "greta",
            "--password-file", "-", "--purpose", "operations", "--format", "csv",
            "SELECT count(*) AS n FROM care.patients", input="Ängste: 42\n",
        )
    finally:
        server.stop()
    assert done.returncode == 0 and done.stdout.startswith("n\n"), done.stderr


def test_help_and_completions(binary, tmp_path):
    helped = run(binary, tmp_path, "--help")
    assert helped.returncode == 0
    for command in ("demo", "serve", "query", "policy", "explain", "keys", "accounts", "ledger"):
        assert command in helped.stdout
    for shell in ("bash", "zsh", "fish"):
        assert "scrim" in run(binary, tmp_path, "completions", shell).stdout
