"""The first contract that README tells to write works as it stands there."""

import datetime
import pathlib
import re
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def test_the_first_contract(binary, tmp_path):
    blocks = re.findall(r"```yaml\n# ([\w./-]+)[^\n]*\n(.*?)```", README.read_text(), re.DOTALL)
    # What comes after them is about other sources than the first contract's.
    blocks = blocks[:3]
    assert len(blocks) == 3 and blocks[-1][0] == "scrim.yaml"
    for name, text in blocks:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace(":50051", ":0"))
    orders = {
        "order_id": [1, 2],
        "supplier": ["acme", "other"],
        "customer_email": ["a@example.org", "b@example.org"],
        "ordered_on": [datetime.date(2026, 3, 17)] * 2,
        "amount": [12.5, 99.0],
    }
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table(orders), tmp_path / "data" / "orders.parquet")

    def scrim(*arguments, **options):
        done = subprocess.run(
            [binary, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, **options
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    scrim("keys", "new", "--file", "keys.json")
    scrim(
        "accounts", "add", "--file", "accounts.yaml", "--id", "alice", "--org", "acme",
        "--password-stdin", input="secret enough\n",
    )
    scrim("policy", "check", "policies")
    sql = "SELECT * FROM sales.orders"
    told = scrim(
        "explain", "--config", "scrim.yaml", "--as", "alice", "--purpose", "fulfilment",
        "--at", "2026-06-01T12:00:00Z", sql,
    )
    assert "acme-orders" in told and "truncate_date" in told and "customer_email" in told
