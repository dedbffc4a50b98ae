"""The statements, each governed by a contract and with the same policy written by hand."""

from typing import NamedTuple

from servers import EXAMPLE

# The masks of `examples/tpch/policies/contracts/lineitem.odcs.yaml`, as a careful person would
# write them in SQL.
MASKS = {
    "l_extendedprice": "CAST(round(CAST(l_extendedprice AS DOUBLE) / 100) * 100 AS DECIMAL(15,2))",
    "l_shipdate": "CAST(date_trunc('month', l_shipdate) AS DATE)",
    "l_comment": "concat(substr(l_comment, 1, 4), '****')",
}
COLUMNS = [
    "l_orderkey", "l_partkey", "l_suppkey", "l_linenumber", "l_quantity", "l_extendedprice",
    "l_discount", "l_tax", "l_returnflag", "l_linestatus", "l_shipdate", "l_commitdate",
    "l_receiptdate", "l_shipinstruct", "l_shipmode", "l_comment",
]
TENTH = "l_quantity <= 5"


class Case(NamedTuple):
    """One line of the table."""

    name: str
    persona: str
    purpose: str
    sql: str
    by_hand: str
    in_process: str


def _query(name):
    text = (EXAMPLE / "queries" / f"{name}.sql").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return "\n".join(lines).strip().rstrip(";")


def _entitled():
    lines = (EXAMPLE / "lookups" / "entitlements.csv").read_text().split()[1:]
    return [key for partner, key in (line.split(",") for line in lines) if partner == "acme"]


def _by_hand(sql, rows):
    columns = ", ".join(f"{MASKS[c]} AS {c}" if c in MASKS else c for c in COLUMNS)
    body = f"WITH governed AS (SELECT {columns} FROM lineitem WHERE {rows})"
    return f"{body} {sql.replace('lineitem', 'governed')}"


def _tenth(name, sql):
    by_hand = _by_hand(sql, TENTH)
    return Case(name, "bench-tenth", "benchmark", sql, by_hand, by_hand)


def machinery():
    """Governed against hand-written in our own server, and in plain DataFusion."""
    entitled = ", ".join(f"({key})" for key in _entitled())
    in_values = f"l_suppkey IN (SELECT column1 FROM (VALUES {entitled}) AS t)"
    in_table = "l_suppkey IN (SELECT suppkey FROM entitlements WHERE partner = 'acme')"
    q3 = _query("q03")
    return [
        _tenth("scan of a tenth, three masks", "SELECT * FROM lineitem"),
        _tenth("Q1", _query("q01")),
        _tenth("Q6", _query("q06")),
        Case("Q3, look-up", "partner", "supply", q3, _by_hand(q3, in_values), _by_hand(q3, in_table)),
    ]


# name, persona, purpose, sql, cpu seconds at most at scale factor 1
STREAMS = [
    ("a tenth of lineitem, three masks", "bench-tenth", "SELECT * FROM lineitem", 1.60),
    ("all of lineitem", "bench-full", "SELECT * FROM lineitem", 3.6),
    ("all of lineitem, one key as a pseudonym", "bench-keyed", "SELECT * FROM lineitem", 5.0),
]

