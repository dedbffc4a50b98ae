"""DuckDB over Scrim's rows. Usage: duckdb_adbc.py URL USER PASSWORD PURPOSE (tested here).

DuckDB reads Arrow's streams, so what a partner may see is one more table beside its own data.
"""

import sys

import duckdb
from adbc_driver_flightsql import DatabaseOptions, dbapi

url, user, password, purpose = sys.argv[1:]
options = {
    "username": user,
    "password": password,
    DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + "x-scrim-purpose": purpose,
}

local = duckdb.connect()
local.sql("CREATE TABLE names AS FROM (VALUES ('Oncology', 'cancer'), ('Cardiology', 'heart')) t(ward, about)")

with dbapi.connect(url, db_kwargs=options, autocommit=True) as connection, connection.cursor() as cursor:
    # Scrim filters and counts; nothing is fetched that is not needed.
    cursor.execute("SELECT ward, count(*) AS visits FROM care.visits GROUP BY ward")
    visits = cursor.fetch_record_batch()
    # DuckDB finds the stream by the variable's name, and reads it once.
    found = local.sql("SELECT about, visits FROM visits JOIN names USING (ward) ORDER BY about").fetchall()
    for about, count in found:
        print(about + ":", count)
