"""Options of a session as ADBC sets them, and headers that say the same for one connection."""

import concurrent.futures

import adbc_driver_flightsql
import adbc_driver_manager
import pyarrow as pa
import pytest
from people import HOSPITAL

OPTION = "adbc.flight.sql.session.option."
FLAG = "adbc.flight.sql.session.optionbool."
HEADER = adbc_driver_flightsql.DatabaseOptions.RPC_CALL_HEADER_PREFIX.value
VISITS = "SELECT visit_id FROM care.visits"


def set_option(connection, **options):
    connection.adbc_connection.set_options(**options)


def test_the_purpose_is_an_option_of_the_session(server):
    with server.adbc(HOSPITAL, **{HEADER + "x-scrim-purpose": ""}) as connection:
        set_option(connection, **{OPTION + "scrim.purpose": HOSPITAL.purpose})
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM care.patients")
            assert cursor.fetchone()[0] > 0


def test_an_option_that_is_not_known_is_refused(server):
    with server.adbc(HOSPITAL) as connection:
        for name, value in [("nonsense", "1"), ("catalog", "other"), ("schema", "nowhere")]:
            with pytest.raises(adbc_driver_manager.Error):
                set_option(connection, **{OPTION + name: value})


def test_options_of_every_type_are_set_and_told(server):
    with server.adbc(HOSPITAL) as connection:
        set_option(connection, **{OPTION + "time_zone": "Europe/Berlin"})
        set_option(connection, **{FLAG + "native_types": "true"})
        set_option(connection, **{OPTION + "max_endpoints": 2})
        inner = connection.adbc_connection
        assert inner.get_option(OPTION + "time_zone") == "Europe/Berlin"
        with pytest.raises(adbc_driver_manager.Error):
            set_option(connection, **{OPTION + "time_zone": "Nowhere/Land"})


def test_native_types_come_to_who_asked_for_them(server):
    sql = "SELECT arrow_cast('a', 'Utf8View') AS v"
    for native, kind in [("true", pa.string_view()), ("false", pa.string())]:
        with server.adbc(HOSPITAL) as connection, connection.cursor() as cursor:
            set_option(connection, **{FLAG + "native_types": native})
            cursor.execute(sql)
            assert cursor.fetch_arrow_table().schema.types == [kind]


def test_several_endpoints_come_to_who_asked_for_them(server):
    with server.adbc(HOSPITAL, **{HEADER + "x-max-endpoints": "4"}) as connection:
        with connection.cursor() as cursor:
            partitions, _ = cursor.adbc_execute_partitions(VISITS)
            assert 1 <= len(partitions) <= 4
            # the driver itself opens all of them at once
            cursor.execute(VISITS)
            whole = cursor.fetch_arrow_table()["visit_id"].to_pylist()

        def read(partition):
            with connection.cursor() as cursor:
                cursor.adbc_read_partition(partition)
                return cursor.fetch_arrow_table()["visit_id"].to_pylist()

        with concurrent.futures.ThreadPoolExecutor() as pool:
            # each is read twice: a part that failed can be asked for again
            for _ in range(2):
                parts = list(pool.map(read, partitions))
                assert sorted(sum(parts, [])) == sorted(whole)
    assert len(set(whole)) == len(whole) > 10_000
