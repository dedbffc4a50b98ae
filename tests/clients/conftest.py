"""The demo world, a server over it, and worlds of their own for tests that change theirs."""

import os
import pathlib
import shutil
import subprocess

import pytest
from serving import Server


@pytest.fixture(scope="session")
def binary():
    """The command under test."""
    named = os.environ.get("SCRIM_BIN")
    if not named:
        pytest.exit("SCRIM_BIN must name the scrim binary; run `cargo x test`", returncode=2)
    return pathlib.Path(named).resolve(strict=True)


@pytest.fixture(scope="session")
def demo(binary, tmp_path_factory):
    """The demo world's folder, written once, and what the demo printed."""
    folder = tmp_path_factory.mktemp("scrim") / "world"
    shown = subprocess.run(
        [binary, "demo", "--once", "--port", "0", "--keep", folder],
        capture_output=True, text=True, timeout=300,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    # The servers of the tests begin ledgers of their own.
    shutil.rmtree(folder / "ledger")
    return folder, shown.stdout


@pytest.fixture(scope="session")
def world(demo):
    """The demo world's folder."""
    folder, _ = demo
    return folder


@pytest.fixture(scope="session")
def server(binary, world):
    """The server that most tests share."""
    server = Server(binary, world)
    yield server
    server.stop()


@pytest.fixture
def own_world(world, tmp_path):
    """A copy of the world for one test, without a ledger. The rows are shared."""
    folder = tmp_path / "world"
    skip = shutil.ignore_patterns("ledger", "server.log", "data")
    shutil.copytree(world, folder, ignore=skip)
    (folder / "data").symlink_to(world / "data")
    return folder


@pytest.fixture
def own_server(binary, own_world):
    """A server of the test's own, with a ledger of its own."""
    server = Server(binary, own_world)
    yield server
    if server.process.poll() is None:
        server.stop()
