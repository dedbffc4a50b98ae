"""The demo world, a server over it, and worlds of their own for tests that change theirs."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import pytest
from serving import Server, certify


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


@pytest.fixture(scope="session")
def tls_server(binary, world, tmp_path_factory):
    """The same with a certificate; its authority's is in `authority.pem` in its folder."""
    folder = _copy(world, tmp_path_factory.mktemp("tls"))
    server = Server(binary, folder, certify(folder))
    yield server
    server.stop()


@pytest.fixture(scope="session", params=["plain", "tls"])
def service(request):
    """Each of the two: for tests that show that a client works at all."""
    return request.getfixturevalue("server" if request.param == "plain" else "tls_server")


@pytest.fixture(scope="session")
def node():
    """What `cargo x test` installs beside this Python: Node, and the folder with its packages."""
    folder = pathlib.Path(sys.prefix) / "node"
    program = shutil.which("node", path=sysconfig.get_path("scripts"))
    assert program, "the environment has no Node; run `cargo x test`"
    assert (folder / "node_modules").is_dir(), f"{folder} has no packages; run `cargo x test`"
    return program, folder / "node_modules"


def _copy(world, parent):
    folder = parent / "world"
    skip = shutil.ignore_patterns("ledger", "server.log", "data")
    shutil.copytree(world, folder, ignore=skip)
    (folder / "data").symlink_to(world / "data")
    return folder


@pytest.fixture
def own_world(world, tmp_path):
    """A copy of the world for one test, without a ledger. The rows are shared."""
    return _copy(world, tmp_path)


@pytest.fixture
def own_server(binary, own_world):
    """A server of the test's own, with a ledger of its own."""
    server = Server(binary, own_world)
    yield server
    if server.process.poll() is None:
        server.stop()
