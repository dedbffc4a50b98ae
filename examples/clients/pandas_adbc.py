"""Scrim's rows as pandas frames. Usage: pandas_adbc.py URL USER PASSWORD PURPOSE (tested here)."""

import sys

import pandas
from adbc_driver_flightsql import DatabaseOptions, dbapi

url, user, password, purpose = sys.argv[1:]
options = {
    "username": user,
    "password": password,
    DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + "x-scrim-purpose": purpose,
}

with dbapi.connect(url, db_kwargs=options, autocommit=True) as connection:
    # dtype_backend keeps Arrow's types: dates stay dates, and integers with gaps stay integers.
    wards = pandas.read_sql(
        "SELECT ward, count(*) AS visits, avg(cost) AS mean_cost FROM care.visits GROUP BY ward",
        connection,
        dtype_backend="pyarrow",
    )
    print(wards.sort_values("visits", ascending=False).head(3).to_string(index=False))

    # read_sql takes no parameters with ADBC; a cursor does.
    with connection.cursor() as cursor:
        cursor.execute("SELECT patient_id, birth_date FROM care.patients WHERE ward = ?", ("Lighthouse",))
        print("patients of the Lighthouse:", len(cursor.fetch_df()))
