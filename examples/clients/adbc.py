"""Ask Scrim with ADBC. Usage: adbc.py URL USER PASSWORD PURPOSE (tested here)."""

import sys

from adbc_driver_flightsql import DatabaseOptions, dbapi

url, user, password, purpose = sys.argv[1:]
options = {
    "username": user,
    "password": password,
    DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + "x-scrim-purpose": purpose,
}

with dbapi.connect(url, db_kwargs=options, autocommit=True) as connection:
    # What may I see? Tables and columns that are hidden from you are not listed.
    for catalog in connection.adbc_get_objects(depth="tables").read_all().to_pylist():
        for schema in catalog["catalog_db_schemas"]:
            for table in schema["db_schema_tables"]:
                print("table:", schema["db_schema_name"] + "." + table["table_name"])

    with connection.cursor() as cursor:
        # Values go in as parameters, never into the text.
        cursor.execute("SELECT count(*) FROM care.patients WHERE region = ?", ("NORTH",))
        print("patients in the north:", cursor.fetchone()[0])

        # A large result comes batch by batch; nothing is collected on either side.
        cursor.execute("SELECT * FROM care.visits")
        rows = sum(batch.num_rows for batch in cursor.fetch_record_batch())
        print("visits:", rows)

        # A column that you may not see is one that does not exist.
        try:
            cursor.execute("SELECT physician_email FROM care.visits")
            print("physician_email: shown to you")
        except dbapi.Error as refusal:
            print("physician_email:", str(refusal).splitlines()[0])
