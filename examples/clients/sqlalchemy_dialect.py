"""Scrim behind SQLAlchemy 1.4, as Superset uses it.

Usage: sqlalchemy_dialect.py URL USER PASSWORD PURPOSE (tested here).
"""

import sys
import urllib.parse

import flightsql.sqlalchemy  # registers the dialect
import sqlalchemy

url, user, password, purpose = sys.argv[1:]
address = urllib.parse.urlsplit(url)
options = {
    "x-scrim-purpose": purpose,  # whatever the dialect does not know is a header of each call
    # Without this the dialect writes values into the text, and those of text() become NULL.
    "feature-sqlalchemy-prepared-statements": "on",
    "feature-sqlalchemy-primary-keys": "on",
}
if address.scheme == "grpc":
    options["insecure"] = "true"
engine = sqlalchemy.create_engine(
    sqlalchemy.engine.URL.create(
        "datafusion+flightsql", user, password, address.hostname, address.port, query=options
    )
)

about = sqlalchemy.inspect(engine)
for schema in about.get_schema_names():
    for table in about.get_table_names(schema):
        columns = about.get_columns(table, schema)
        print("table:", f"{schema}.{table},", len(columns), "columns")

patients = sqlalchemy.Table("patients", sqlalchemy.MetaData(), schema="care", autoload_with=engine)
with engine.connect() as connection:
    question = sqlalchemy.select(sqlalchemy.func.count()).where(patients.c.region == "NORTH")
    print("patients in the north:", connection.execute(question).scalar())
    named = sqlalchemy.text("SELECT count(*) FROM care.patients WHERE ward = :ward")
    print("patients of the Lighthouse:", connection.execute(named, {"ward": "Lighthouse"}).scalar())
