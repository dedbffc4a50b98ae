"""Client certificates that stand for accounts."""

import adbc_driver_flightsql
import adbc_driver_manager
import pyarrow.flight as flight
import pytest
import trustme
from flight_sql import Client
from people import HOSPITAL
from serving import Server, certify

OPTIONS = adbc_driver_flightsql.DatabaseOptions
COUNT = "SELECT count(*) AS n FROM care.patients"
NORA = "nora@northgate.example"


@pytest.fixture
def issuer():
    return trustme.CA()


@pytest.fixture
def mutual(binary, own_world, issuer):
    """A server that takes certificates of `issuer`, and passwords as well."""
    authority = certify(own_world)
    issuer.cert_pem.write_to_path(own_world / "clients.pem")
    config = own_world / "scrim.yaml"
    text = config.read_text()
    keys = "key: server.key, client_ca: clients.pem, client_auth: optional}"
    text = text.replace("key: server.key}", keys)
    certificates = f"identity:\n  certificates: [{{san: {NORA}, account: {HOSPITAL.user}}}]\n"
    config.write_text(text.replace("identity:\n", certificates))
    server = Server(binary, own_world, authority)
    yield server
    server.stop()


def parts(certificate):
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return chain, certificate.private_key_pem.bytes()


def adbc(server, certificate):
    chain, key = parts(certificate)
    settings = {
        OPTIONS.TLS_ROOT_CERTS.value: server.authority.decode(),
        OPTIONS.MTLS_CERT_CHAIN.value: chain.decode(),
        OPTIONS.MTLS_PRIVATE_KEY.value: key.decode(),
        OPTIONS.RPC_CALL_HEADER_PREFIX.value + "x-scrim-purpose": HOSPITAL.purpose,
    }
    return adbc_driver_flightsql.dbapi.connect(server.url, db_kwargs=settings, autocommit=True)


def test_a_certificate_is_enough(mutual, issuer):
    with mutual.adbc(HOSPITAL) as connection, connection.cursor() as cursor:
        cursor.execute(COUNT)
        expected = cursor.fetchall()
    with adbc(mutual, issuer.issue_cert(NORA)) as connection, connection.cursor() as cursor:
        cursor.execute(COUNT)
        assert cursor.fetchall() == expected


def test_a_certificate_that_stands_for_nobody_opens_nothing(mutual, issuer):
    stranger = issuer.issue_cert("somebody@northgate.example")
    with pytest.raises(adbc_driver_manager.Error) as refused:
        with adbc(mutual, stranger) as connection, connection.cursor() as cursor:
            cursor.execute(COUNT)
    assert refused.value.status_code == adbc_driver_manager.AdbcStatusCode.UNAUTHENTICATED


def test_a_certificate_of_another_issuer_is_no_certificate(mutual):
    chain, key = parts(trustme.CA().issue_cert(NORA))
    header = (b"x-scrim-purpose", HOSPITAL.purpose.encode())
    with pytest.raises((flight.FlightError, OSError)):
        client = Client(
            mutual.url, token=header, tls_root_certs=mutual.authority, cert_chain=chain, private_key=key
        )
        client.query(COUNT)
