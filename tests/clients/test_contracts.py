"""Contracts are what the Open Data Contract Standard says, to its own tools, and documents fit the
schemas that the command prints."""

import importlib.resources
import json
import pathlib
import re
import subprocess

import jsonschema
import pytest
import ruamel.yaml
from datacontract.data_contract import DataContract

ROOT = pathlib.Path(__file__).resolve().parents[2]
WRITTEN = [
    *sorted((ROOT / "policies/contracts").glob("*.odcs.yaml")),
    *sorted((ROOT / "examples/tpch/policies/contracts").glob("*.odcs.yaml")),
]


def load(text):
    """YAML 1.2 as the server reads it: days and instants are text."""
    yaml = ruamel.yaml.YAML(typ="safe", pure=True)
    yaml.constructor.yaml_constructors = dict(yaml.constructor.yaml_constructors)
    text_of = lambda constructor, node: constructor.construct_scalar(node)
    yaml.constructor.yaml_constructors["tag:yaml.org,2002:timestamp"] = text_of
    return yaml.load(text)


@pytest.fixture(scope="session")
def standard():
    """The standard's own schema, as its tools ship it."""
    schemas = importlib.resources.files("datacontract") / "schemas"
    schema = json.loads((schemas / "odcs-3.1.0.schema.json").read_text())
    return jsonschema.Draft201909Validator(schema)


@pytest.fixture(scope="session")
def ours(binary, tmp_path_factory):
    """The schemas that the command writes, by kind of document."""
    folder = tmp_path_factory.mktemp("schemas")
    subprocess.run([binary, "contract", "schema", "--out", folder], check=True, capture_output=True)
    schemas = {path.name.split(".")[0]: json.loads(path.read_text()) for path in folder.iterdir()}
    assert set(schemas) == {"contract", "policy", "agreement", "test", "config"}
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    return {name: jsonschema.Draft202012Validator(schema) for name, schema in schemas.items()}


@pytest.fixture(scope="session")
def drafted(binary, world, tmp_path_factory):
    """What `scrim contract new` drafts from the demo's tables."""
    paths = []
    for source in ["data/patients.parquet", "data/visits/*.parquet", "data/claims.parquet", "lookups/entitlements.csv"]:
        path = tmp_path_factory.mktemp("draft") / "draft.odcs.yaml"
        arguments = ["--from", source, "--table", "drafted", "--config", "scrim.yaml", "--out", path]
        subprocess.run([binary, "contract", "new", *arguments], cwd=world, check=True, capture_output=True)
        paths.append(path)
    return paths


def examples(page):
    """The contracts and parts of contracts in a page, as whole contracts."""
    frame = load((ROOT / "tests/data/documents/frame.yaml").read_text())
    for block in re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
        part = load(block) or {}
        if part.get("kind") == "DataContract" or part.keys() & {"servers", "schema"}:
            yield {**frame, **part}


def check(path, standard, ours):
    contract = load(path.read_text())
    assert not list(standard.iter_errors(contract)), path
    assert not list(ours["contract"].iter_errors(contract)), path
    run = DataContract(data_contract_file=str(path)).lint()
    assert run.result == "passed", (path, run.pretty())


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_contracts_of_this_repository(path, standard, ours):
    check(path, standard, ours)


def test_drafted_contracts(drafted, standard, ours):
    for path in drafted:
        check(path, standard, ours)


def test_the_document_with_every_key(standard, ours):
    check(ROOT / "tests/data/documents/contract.odcs.yaml", standard, ours)


def test_contracts_without_their_policies(binary, standard, tmp_path):
    for path in WRITTEN:
        own = tmp_path / path.name
        own.write_text(path.read_text())
        subprocess.run([binary, "contract", "split", own], check=True, capture_output=True)
        assert "accessPolicy" not in own.read_text()
        assert not list(standard.iter_errors(load(own.read_text()))), path
        subprocess.run([binary, "contract", "join", own], check=True, capture_output=True)
        assert own.read_text() == path.read_text()
        assert list(tmp_path.iterdir()) == [own]
        own.unlink()


@pytest.mark.parametrize(("page", "count"), [("README.md", 1), ("policies/README.md", 3)])
def test_examples_of_the_pages(page, count, standard):
    seen = 0
    for contract in examples(page):
        assert not list(standard.iter_errors(contract)), contract
        seen += 1
    assert seen >= count


def test_every_document_fits_its_schema(ours):
    folders = ["policies", "examples/tpch/policies"]
    paths = [(kind, path) for folder in folders for kind, pattern in [
        ("agreement", "agreements/*.yaml"), ("test", "tests/*.yaml"), ("policy", "contracts/*.policy.yaml"),
    ] for path in sorted((ROOT / folder).glob(pattern))]
    documents = ROOT / "tests/data/documents"
    paths += [
        ("agreement", documents / "agreement.yaml"),
        ("policy", documents / "everything.policy.yaml"),
        ("test", documents / "everything.test.yaml"),
        ("config", documents / "scrim.yaml"),
        ("config", ROOT / "examples/tpch/scrim.yaml"),
    ]
    assert len(paths) > 30
    for kind, path in paths:
        errors = [error.message for error in ours[kind].iter_errors(load(path.read_text()))]
        assert not errors, (path, errors)


@pytest.mark.parametrize(("kind", "document", "key", "value"), [
    ("agreement", "agreement.yaml", "end", "31.12.2026"),
    ("agreement", "agreement.yaml", "status", "activ"),
    ("agreement", "agreement.yaml", "purposes", ["research"]),
    ("policy", "everything.policy.yaml", "guards", [{"id": "a", "step_up": {}}]),
    ("policy", "everything.policy.yaml", "profiles", {"a": {"default": {"mask": "rownd", "to": 5}}}),
    ("policy", "everything.policy.yaml", "profiles", {"a": {"default": {"mask": "round"}}}),
    ("config", "scrim.yaml", "limits", {"time": "soon"}),
    ("config", "scrim.yaml", "polices", "policies"),
    ("test", "everything.test.yaml", "at", "noon"),
])
def test_mistakes_are_underlined(ours, kind, document, key, value):
    data = load((ROOT / "tests/data/documents" / document).read_text())
    assert ours[kind].is_valid(data)
    data[key] = value
    assert not ours[kind].is_valid(data)
