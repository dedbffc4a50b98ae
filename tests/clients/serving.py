"""A real `scrim serve` in a process of its own."""

import re
import signal
import subprocess

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi
import trustme

import flight_sql
from people import PASSWORD

DATABASE = adbc_driver_flightsql.DatabaseOptions


def _settings(persona):
    return {
        DATABASE.RPC_CALL_HEADER_PREFIX.value + "x-scrim-purpose": persona.purpose,
        "username": persona.user,
        "password": PASSWORD,
        # What Grafana, tonic and .NET accept: a larger message fails the test.
        DATABASE.WITH_MAX_MSG_SIZE.value: str(4 * 1024 * 1024),
    }


def certify(folder):
    """Gives a world a certificate and turns TLS on; returns the authority's certificate."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    leaf.private_key_pem.write_to_path(folder / "server.key")
    (folder / "server.key").chmod(0o600)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    (folder / "server.pem").write_bytes(chain)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    with open(folder / "scrim.yaml", "a", encoding="utf-8") as config:
        config.write("tls: {cert: server.pem, key: server.key}\n")
    return authority.cert_pem.bytes()


class Server:
    """One `scrim serve` and the folder of its world."""

    def __init__(self, binary, folder, authority=None):
        """`authority` is the certificate to trust where the configuration turns TLS on."""
        self.binary = binary
        self.folder = folder
        self.authority = authority
        self.log = open(folder / "server.log", "ab")
        self.process = subprocess.Popen(
            [binary, "serve", "--config", folder / "scrim.yaml"],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        line = self.process.stdout.readline()
        address = re.search(r"127\.0\.0\.1:(\d+)", line)
        if address is None:
            self.process.kill()
            log = (folder / "server.log").read_text(errors="replace")
            raise AssertionError(f"scrim serve did not start: {line!r}\n{log}")
        self.port = int(address.group(1))
        scheme, self.host = ("grpc+tls", "localhost") if authority else ("grpc", "127.0.0.1")
        self.url = f"{scheme}://{self.host}:{self.port}"

    def stop(self):
        """Asks it to stop, as an init system would, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        finally:
            self.process.kill()
            self.log.close()

    def run(self, *arguments):
        """Runs another command of the same binary over the same world."""
        return subprocess.run(
            [self.binary, *map(str, arguments)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )

    @property
    def ledger(self):
        """The ledger's file."""
        return self.folder / "ledger" / "ledger.jsonl"

    def adbc(self, persona, url=None, **settings):
        """An ADBC connection of a persona."""
        if self.authority:
            settings = {DATABASE.TLS_ROOT_CERTS.value: self.authority.decode()} | settings
        settings = _settings(persona) | settings
        return adbc_driver_flightsql.dbapi.connect(
            url or self.url, db_kwargs=settings, autocommit=True
        )

    def pyarrow(self, persona):
        """A pyarrow client of a persona."""
        trust = {"tls_root_certs": self.authority} if self.authority else {}
        return flight_sql.Client(
            self.url, persona.user, PASSWORD, purpose=persona.purpose, **trust
        )
