"""TLS, by configuration; and no plain listener outside of the machine."""

import subprocess

import adbc_driver_flightsql
import adbc_driver_manager
import flight_sql
import pytest
import trustme
from people import HOSPITAL, PASSWORD
from serving import Server

TRUST = adbc_driver_flightsql.DatabaseOptions.TLS_ROOT_CERTS.value


@pytest.fixture
def secured(binary, own_world):
    """A server with a certificate, and the authority that signed it."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    leaf.private_key_pem.write_to_path(own_world / "server.key")
    (own_world / "server.key").chmod(0o600)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    (own_world / "server.pem").write_bytes(chain)
    with open(own_world / "scrim.yaml", "a", encoding="utf-8") as config:
        config.write("tls: {cert: server.pem, key: server.key}\n")
    server = Server(binary, own_world, scheme="grpc+tls", host="localhost")
    yield server, authority.cert_pem.bytes()
    server.stop()


def test_adbc_and_pyarrow_over_tls(secured):
    server, authority = secured
    sql = "SELECT count(*) AS n FROM care.patients"
    with server.adbc(HOSPITAL, **{TRUST: authority.decode()}) as connection:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            ((count,),) = cursor.fetchall()
    client = flight_sql.Client(
        server.url, HOSPITAL.user, PASSWORD, HOSPITAL.purpose, tls_root_certs=authority
    )
    with client:
        assert client.query(sql).to_pylist() == [{"n": count}]


def test_an_unknown_authority_is_not_trusted(secured):
    server, _ = secured
    stranger = trustme.CA().cert_pem.bytes().decode()
    with pytest.raises(adbc_driver_manager.Error):
        with server.adbc(HOSPITAL, **{TRUST: stranger}) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def test_without_tls_only_this_machine_is_served(binary, own_world):
    config = own_world / "scrim.yaml"
    config.write_text(config.read_text().replace("127.0.0.1:0", "0.0.0.0:0"))
    served = subprocess.run(
        [binary, "serve", "--config", config], capture_output=True, text=True, timeout=60
    )
    assert served.returncode != 0
    assert "tls" in served.stderr.lower()
