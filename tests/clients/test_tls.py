"""TLS, by configuration; and no plain listener outside of the machine."""

import subprocess

import adbc_driver_flightsql
import adbc_driver_manager
import pytest
import trustme
from people import HOSPITAL

TRUST = adbc_driver_flightsql.DatabaseOptions.TLS_ROOT_CERTS.value


def test_adbc_and_pyarrow_over_tls(tls_server):
    sql = "SELECT count(*) AS n FROM care.patients"
    with tls_server.adbc(HOSPITAL) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        ((count,),) = cursor.fetchall()
    with tls_server.pyarrow(HOSPITAL) as client:
        assert client.query(sql).to_pylist() == [{"n": count}]


def test_an_unknown_authority_is_not_trusted(tls_server):
    stranger = trustme.CA().cert_pem.bytes().decode()
    with pytest.raises(adbc_driver_manager.Error):
        with tls_server.adbc(HOSPITAL, **{TRUST: stranger}) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def test_without_tls_only_this_machine_is_served(binary, own_world):
    config = own_world / "scrim.yaml"
    config.write_text(config.read_text().replace("127.0.0.1:0", "0.0.0.0:0"))
    served = subprocess.run(
        [binary, "serve", "--config", config], capture_output=True, text=True, timeout=60
    )
    assert served.returncode != 0
    assert "tls" in served.stderr.lower()
