"""The same SQL, asked by three principals, against a look at the raw files."""

import datetime
import re

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from adbc_driver_manager import AdbcStatusCode
from people import EVERYBODY, HOSPITAL, INSURER, NOBODY, RESEARCHER

ENTITLED = ["NORTH", "EAST", "ISLANDS"]


@pytest.fixture(scope="module")
def patients(world):
    """The raw table, less what the legal hold withholds from everybody."""
    raw = pq.read_table(world / "data" / "patients.parquet")
    return raw.filter(pc.invert(raw["legal_hold"])).to_pylist()


def rows(server, persona, sql):
    with server.adbc(persona) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def refusal(server, persona, sql):
    with server.adbc(persona) as connection, connection.cursor() as cursor:
        with pytest.raises(connection.Error) as refused:
            cursor.execute(sql)
            cursor.fetchall()
    return refused.value


def admitted(persona, patient):
    """Whether the contract and the agreements of `care.patients` show this row."""
    if persona == HOSPITAL:
        return True
    if persona == INSURER:
        return patient["insurer"] == "harbor"
    entitled = patient["region"] in ENTITLED
    member = "study-7" in (patient["tags"] or [])
    return bool(patient["consent_research"]) and (entitled or member)


@pytest.mark.parametrize("persona", EVERYBODY, ids=lambda p: p.user)
def test_everybody_sees_their_rows(server, patients, persona):
    expected = sum(admitted(persona, patient) for patient in patients)
    assert 0 < expected
    assert rows(server, persona, "SELECT count(*) FROM care.patients") == [(expected,)]


def test_the_hospital_sees_itself_clear(server, patients):
    got = rows(server, HOSPITAL, "SELECT patient_id, full_name, birth_date FROM care.patients")
    want = [(p["patient_id"], p["full_name"], p["birth_date"]) for p in patients]
    assert sorted(got, key=str) == sorted(want, key=str)


def test_the_insurer_sees_months_and_initials(server, patients):
    got = rows(server, INSURER, "SELECT patient_id, full_name, birth_date FROM care.patients")
    raw = {patient["patient_id"]: patient for patient in patients}
    assert got
    for patient_id, name, born in got:
        patient = raw[patient_id]
        assert born == (patient["birth_date"] and patient["birth_date"].replace(day=1))
        if patient["full_name"] is None:
            assert name is None, "NULL stays NULL"
        elif len(patient["full_name"]) > 4:
            assert name == patient["full_name"][0] + "****"


def test_the_researcher_sees_tokens_and_columns_that_follow_the_row(server, patients):
    sql = "SELECT patient_id, birth_date, tags FROM care.patients"
    got = rows(server, RESEARCHER, sql)
    assert all(re.fullmatch("[0-9a-f]{32}", token) for token, _, _ in got)
    assert len({token for token, _, _ in got}) == len(got), "tokens are as distinct as the ids"
    assert not {token for token, _, _ in got} & {p["patient_id"] for p in patients}
    # The study's agreement shows the day, the other one the year: each row shows the most open of
    # those agreements that admit it, so no day on a row that only the stricter one admitted.
    expected = sorted(
        p["birth_date"] if "study-7" in (p["tags"] or []) else p["birth_date"].replace(day=1, month=1)
        for p in patients
        if admitted(RESEARCHER, p) and p["birth_date"]
    )
    assert sorted(born for _, born, _ in got if born) == expected


def test_tokens_are_stable_over_sessions_and_not_shared_between_recipients(server):
    sql = "SELECT patient_id FROM care.patients WHERE ward = 'Lighthouse'"
    first, again = (rows(server, RESEARCHER, sql) for _ in range(2))
    assert first == again and len(first) == 1
    assert rows(server, INSURER, sql) != first


@pytest.mark.parametrize(
    ("persona", "table", "hidden"),
    [
        (INSURER, "care.patients", "national_id"),
        (INSURER, "care.visits", "physician_email"),
        (HOSPITAL, "insurance.claims", "fraud_score"),
        (RESEARCHER, "care.patients", "full_name"),
        (RESEARCHER, "insurance.claims", "holder_email"),
    ],
)
@pytest.mark.parametrize("sql", ["SELECT {} FROM {}", "SELECT 1 FROM {1} WHERE {0} = 'x'"])
def test_inv_07_a_hidden_column_is_like_one_that_never_was(server, persona, table, hidden, sql):
    never = "q" * len(hidden)
    shown = refusal(server, persona, sql.format(hidden, table))
    unknown = refusal(server, persona, sql.format(never, table))
    assert shown.status_code == unknown.status_code
    assert without_ids(shown).replace(hidden, never) == without_ids(unknown)


def test_inv_07_a_hidden_table_is_like_one_that_never_was(server):
    shown = refusal(server, NOBODY, "SELECT * FROM insurance.claims")
    unknown = refusal(server, NOBODY, "SELECT * FROM insurance.qqqqqq")
    assert shown.status_code == unknown.status_code
    assert without_ids(shown).replace("claims", "qqqqqq") == without_ids(unknown)


def test_inv_07_an_error_on_hidden_rows_is_not_raised(server):
    """No visible row divides by zero, hidden ones do: the sealed and the withheld."""
    sql = "SELECT count(*) FROM care.patients WHERE 1 / (CASE WHEN legal_hold THEN 0 ELSE 1 END) = 1"
    everything = rows(server, HOSPITAL, "SELECT count(*) FROM care.patients")
    assert rows(server, HOSPITAL, sql) == everything


def test_the_purpose_can_only_narrow(server):
    purpose = "adbc.flight.sql.rpc.call_header.x-scrim-purpose"
    with server.adbc(RESEARCHER, **{purpose: "operations"}) as connection:
        with connection.cursor() as cursor, pytest.raises(connection.Error):
            cursor.execute("SELECT count(*) FROM care.patients")


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM care.patients",
        "INSERT INTO care.patients SELECT * FROM care.patients",
        "CREATE TABLE mine AS SELECT 1",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "SELECT 1; SELECT 2",
        "SELECT pseudonymize('NG-000001')",
        "SELECT * FROM lookup.entitlements",
        "SELECT * FROM 'data/patients.parquet'",
        "PREPARE p AS SELECT 1",
    ],
)
def test_inv_13_only_reading_and_only_listed_functions(server, sql):
    assert refusal(server, HOSPITAL, sql).status_code != AdbcStatusCode.INTERNAL


def test_dates_arrive_as_dates(server):
    sql = "SELECT birth_date FROM care.patients WHERE birth_date IS NOT NULL LIMIT 1"
    ((born,),) = rows(server, RESEARCHER, sql)
    assert isinstance(born, datetime.date)


def without_ids(error):
    """The text of an error without the id of its query, which is new each time."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "…", str(error))
