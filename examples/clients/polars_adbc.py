"""Scrim's rows as polars frames. Usage: polars_adbc.py URL USER PASSWORD PURPOSE (tested here)."""

import sys

import polars
from adbc_driver_flightsql import DatabaseOptions, dbapi

url, user, password, purpose = sys.argv[1:]
options = {
    "username": user,
    "password": password,
    DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + "x-scrim-purpose": purpose,
}

with dbapi.connect(url, db_kwargs=options, autocommit=True) as connection:
    patients = polars.read_database(
        "SELECT patient_id, birth_date, contact, tags FROM care.patients WHERE ward = ?",
        connection,
        execute_options={"parameters": ["Lighthouse"]},
    )
    print("patients of the Lighthouse:", patients.height, patients.schema["birth_date"])

    # A large result in pieces.
    with connection.cursor() as cursor:
        pieces = polars.read_database("SELECT * FROM care.visits", cursor, iter_batches=True)
        print("visits:", sum(piece.height for piece in pieces))
