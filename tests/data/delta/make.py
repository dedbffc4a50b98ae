"""Makes the Delta tables of the tests, and what `deltalake` reads of them.

    python3 -m venv /tmp/delta && /tmp/delta/bin/pip install deltalake==1.6.6 pyarrow==26.0.1
    /tmp/delta/bin/python tests/data/delta/make.py

Each table is a folder here; `expected.json` has its rows by version, as JSON objects. What no writer
at hand can write (deletion vectors, a widened type, a renamed column) is written into the log by hand;
`deltalake` reads those tables as well, but for the widened one, whose rows are said here.
"""

import base64
import datetime
import decimal
import json
import pathlib
import shutil
import struct
import uuid
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

HERE = pathlib.Path(__file__).parent
EXPECTED = {}


def folder(name):
    path = HERE / name
    shutil.rmtree(path, ignore_errors=True)
    return path


def plain(value):
    """A value as JSON has it."""
    match value:
        case decimal.Decimal():
            return float(value)
        case datetime.datetime():
            return value.isoformat().replace("+00:00", "Z")
        case datetime.date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case dict():
            return {name: plain(inner) for name, inner in value.items()}
        case [(_, _), *_]:
            return {name: plain(inner) for name, inner in value}
        case list():
            return [plain(inner) for inner in value]
    return value


def rows(table):
    rows = pa.table(table.scan()).to_pylist()
    return sorted(({n: plain(v) for n, v in row.items()} for row in rows), key=lambda row: row["id"])


def expect(path, versions=None):
    """What `deltalake` reads."""
    newest = DeltaTable(path).version()
    EXPECTED[path.name] = {
        str(version): rows(DeltaTable(path, version=version)) for version in versions or range(newest + 1)
    }


def people(ids, **more):
    names = [None if id % 5 == 0 else f"person {id}" for id in ids]
    return pa.table({"id": pa.array(ids, pa.int64()), "name": pa.array(names, pa.string()), **more})


def commit(path, version, *actions):
    """Writes a commit by hand."""
    log = path / "_delta_log" / f"{version:020}.json"
    log.write_text("".join(json.dumps(action) + "\n" for action in actions))


def actions(path, version, kind):
    lines = (path / "_delta_log" / f"{version:020}.json").read_text().splitlines()
    return [json.loads(line)[kind] for line in lines if kind in json.loads(line)]


def appended():
    path = folder("appended")
    write_deltalake(path, people([1, 2, 3]))
    write_deltalake(path, people([4, 5]), mode="append")
    write_deltalake(path, people([6]), mode="append")
    expect(path)


def overwritten():
    path = folder("overwritten")
    write_deltalake(path, people([1, 2, 3]))
    write_deltalake(path, people([7, 8]), mode="overwrite")
    DeltaTable(path).delete()
    write_deltalake(path, people([9]), mode="append")
    expect(path)


def rewritten():
    path = folder("rewritten")
    write_deltalake(path, people(list(range(1, 9))))
    DeltaTable(path).delete("id = 2")
    DeltaTable(path).update(updates={"name": "'renamed'"}, predicate="id > 6")
    expect(path)


def partitioned():
    path = folder("partitioned")
    regions = ["north", "a b/ü%=", None, "north", "true"]
    days = [datetime.date(2024, 2, 29), None] + [datetime.date(1999, 12, 31)] * 3
    at = datetime.datetime(2024, 5, 1, 10, 30, 0, 123456, tzinfo=datetime.UTC)
    write_deltalake(
        path,
        people(
            [1, 2, 3, 4, 5],
            region=pa.array(regions, pa.string()),
            day=pa.array(days, pa.date32()),
            at=pa.array([at, at, None, at, at], pa.timestamp("us", "UTC")),
            flag=pa.array([True, False, None, True, True], pa.bool_()),
            price=pa.array([decimal.Decimal("1.50")] * 5, pa.decimal128(8, 2)),
        ),
        partition_by=["region", "day", "at", "flag", "price"],
    )
    expect(path)


def evolved():
    path = folder("evolved")
    contact = pa.struct([("phone", pa.string())])
    wider = pa.struct([("phone", pa.string()), ("mail", pa.string())])
    write_deltalake(path, people([1, 2], contact=pa.array([{"phone": "1"}, None], contact)))
    more = {
        "contact": pa.array([{"phone": "3", "mail": "x"}], wider),
        "score": pa.array([0.5], pa.float64()),
        "tags": pa.array([["a", None]], pa.list_(pa.string())),
    }
    write_deltalake(path, people([3], **more), mode="append", schema_mode="merge")
    expect(path)


def checkpointed():
    path = folder("checkpointed")
    for id in range(1, 13):
        write_deltalake(path, people([id]), mode="append")
        if id == 11:
            DeltaTable(path).create_checkpoint()
    # with the commits before it gone, only the checkpoint can tell of them
    for version in range(10):
        (path / "_delta_log" / f"{version:020}.json").unlink()
    expect(path, [10, 11])


def typed():
    path = folder("typed")
    at = datetime.datetime(2024, 5, 1, 10, 30, 0, 123456)
    columns = {
        "id": pa.array([1, 2], pa.int64()),
        "flag": pa.array([True, None], pa.bool_()),
        "tiny": pa.array([-128, None], pa.int8()),
        "small": pa.array([32767, None], pa.int16()),
        "whole": pa.array([-5, None], pa.int32()),
        "real": pa.array([1.5, None], pa.float32()),
        "double": pa.array([-2.25, None], pa.float64()),
        "price": pa.array([decimal.Decimal("12345.67"), None], pa.decimal128(12, 2)),
        "text": pa.array(["ü", None], pa.string()),
        "bytes": pa.array([b"\x00\xff", None], pa.binary()),
        "day": pa.array([datetime.date(1969, 12, 31), None], pa.date32()),
        "at": pa.array([at.replace(tzinfo=datetime.UTC), None], pa.timestamp("us", "UTC")),
        "local": pa.array([at, None], pa.timestamp("us")),
        "items": pa.array([[1, None], None], pa.list_(pa.int32())),
        "inner": pa.array(
            [{"a": 1, "b": [{"c": "x"}]}, None],
            pa.struct([("a", pa.int64()), ("b", pa.list_(pa.struct([("c", pa.string())])))]),
        ),
        "pairs": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    }
    write_deltalake(path, pa.table(columns))
    expect(path)


def mapped():
    path = folder("mapped")
    table = people([1, 2, 3, 6], region=["n", "s", None, "n"], contact=[{"phone": "1"}] * 4)
    mapping = {"delta.columnMapping.mode": "name"}
    write_deltalake(path, table, partition_by=["region"], configuration=mapping)
    # only names in the schema change: files keep theirs
    [metadata] = actions(path, 0, "metaData")
    schema = json.loads(metadata["schemaString"])
    next(f for f in schema["fields"] if f["name"] == "name")["name"] = "full name"
    commit(path, 1, {"metaData": metadata | {"schemaString": json.dumps(schema)}})
    expect(path)


# Deletion vectors are roaring bitmaps: the format is Delta's, the containers here plain arrays.


def bitmap(numbers):
    low = struct.pack("<IIHHI", 12346, 1, 0, len(numbers) - 1, 16)
    low += b"".join(struct.pack("<H", number) for number in numbers)
    return struct.pack("<IQI", 1681511377, 1, 0) + low


def z85(data):
    return base64.z85encode(data).decode() if hasattr(base64, "z85encode") else z85_by_hand(data)


def z85_by_hand(data):
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    text = ""
    for (word,) in struct.iter_unpack(">I", data):
        text += "".join(letters[word // 85**place % 85] for place in (4, 3, 2, 1, 0))
    return text


def inline(numbers):
    data = bitmap(numbers)
    padded = data + b"\0" * (-len(data) % 4)
    return {
        "storageType": "i",
        "pathOrInlineDv": z85(padded),
        "sizeInBytes": len(data),
        "cardinality": len(numbers),
    }


def stored(path, numbers):
    data, name = bitmap(numbers), uuid.uuid4()
    framed = struct.pack(">I", len(data)) + data + struct.pack(">I", zlib.crc32(data))
    (path / f"deletion_vector_{name}.bin").write_bytes(b"\1" + framed)
    return {
        "storageType": "u",
        "pathOrInlineDv": z85(name.bytes),
        "offset": 1,
        "sizeInBytes": len(data),
        "cardinality": len(numbers),
    }


def vectors():
    path = folder("vectors")
    table = people(list(range(100)))
    # several row groups, so that vectors reach over their ends
    write_deltalake(path, table, configuration={"delta.enableDeletionVectors": "true"})
    [add] = actions(path, 0, "add")
    pq.write_table(table, path / add["path"], row_group_size=20, compression="snappy")
    add["size"] = (path / add["path"]).stat().st_size
    protocol, metadata = actions(path, 0, "protocol"), actions(path, 0, "metaData")
    commit(path, 0, {"protocol": protocol[0]}, {"metaData": metadata[0]}, {"add": add})
    remove = {key: add[key] for key in ("path", "partitionValues", "size")}
    remove |= {"deletionTimestamp": add["modificationTime"], "dataChange": True}
    remove |= {"extendedFileMetadata": True}
    vectors = [None, inline([0, 1, 2, 19, 20, 50, 99]), stored(path, list(range(15, 95)))]
    for version, (before, now) in enumerate(zip(vectors, vectors[1:]), 1):
        removed = remove | ({"deletionVector": before} if before else {})
        commit(path, version, {"remove": removed}, {"add": add | {"deletionVector": now}})
    write_deltalake(path, people([200, 201]), mode="append")
    expect(path)


def widened():
    path = folder("widened")
    write_deltalake(path, pa.table({"id": pa.array([1, 2], pa.int32()), "n": pa.array([1, 2], pa.int16())}))
    [metadata] = actions(path, 0, "metaData")
    [add] = actions(path, 0, "add")
    schema = json.loads(metadata["schemaString"])
    for field, (was, now) in zip(schema["fields"], [("integer", "long"), ("short", "double")]):
        changes = [{"fromType": was, "toType": now}]
        field |= {"type": now, "metadata": {"delta.typeChanges": changes}}
    features = {"minReaderVersion": 3, "minWriterVersion": 7}
    features |= {"readerFeatures": ["typeWidening"], "writerFeatures": ["typeWidening"]}
    name = "part-1.parquet"
    new = pa.table({"id": pa.array([2**40], pa.int64()), "n": pa.array([0.5], pa.float64())})
    pq.write_table(new, path / name)
    add |= {"path": name, "size": (path / name).stat().st_size, "stats": None}
    changed = metadata | {"schemaString": json.dumps(schema)}
    commit(path, 1, {"protocol": features}, {"metaData": changed}, {"add": add})
    before = [{"id": 1, "n": 1.0}, {"id": 2, "n": 2.0}]
    EXPECTED[path.name] = {"1": before + [{"id": 2**40, "n": 0.5}]}


def instants():
    """Instants as old writers keep them, beyond what nanoseconds can tell."""
    path = folder("instants")
    years = [1, 1600, 2024, 9999]
    at = [datetime.datetime(year, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC) for year in years]
    table = pa.table({"id": pa.array(years, pa.int64()), "at": pa.array(at, pa.timestamp("us", "UTC"))})
    write_deltalake(path, table)
    [add] = actions(path, 0, "add")
    pq.write_table(table, path / add["path"], use_deprecated_int96_timestamps=True)
    add |= {"size": (path / add["path"]).stat().st_size, "stats": None}
    protocol, metadata = actions(path, 0, "protocol"), actions(path, 0, "metaData")
    commit(path, 0, {"protocol": protocol[0]}, {"metaData": metadata[0]}, {"add": add})
    expect(path)


for make in (
    appended,
    overwritten,
    rewritten,
    partitioned,
    evolved,
    checkpointed,
    typed,
    mapped,
    vectors,
    widened,
    instants,
):
    make()
lines = [
    f"{json.dumps(name)}: {{\n"
    + ",\n".join(f"  {json.dumps(v)}: {json.dumps(r, ensure_ascii=False)}" for v, r in versions.items())
    + "\n}"
    for name, versions in EXPECTED.items()
]
(HERE / "expected.json").write_text("{" + ",\n".join(lines) + "}\n")
