#!/usr/bin/env python3
"""Rebuilds the row leaves of an archive with DuckDB and compares the roots with the signed ones.

    leaves_duckdb.py BAG TABLE...        (all tables when none is named)

Needs only Python and its package `duckdb`. Run verify.sh first: this script trusts the statement it reads. Ends with 1
when a root or a row count differs, with 2 for wrong usage.
"""

import base64
import glob
import hashlib
import json
import os
import sys

import duckdb


def sha256(data):
    return hashlib.sha256(data).digest()


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def value_sql(column):
    """SQL expression for the canonical JSON text of a column's value, NULL included."""
    name = '"' + column["name"] + '"'
    kind = column["type"]
    if kind == "string":
        # DuckDB escapes as RFC 8785 does (only what JSON demands, short forms where they exist) but for the case of
        # hex digits. Between escaped backslashes, a `\u` can only begin an escape.
        part = "x"
        for code in (0x0B, 0x0E, 0x0F, *range(0x1A, 0x20)):
            part = f"replace({part}, '\\u{code:04X}', '\\u{code:04x}')"
        text = f"array_to_string(list_transform(string_split(to_json({name})::VARCHAR, '\\\\'), lambda x: {part}), '\\\\')"
    elif kind in ("int64", "uint64") or kind.startswith("decimal("):
        text = f"""'"' || {name}::VARCHAR || '"'"""
    elif kind == "bool":
        text = f"{name}::VARCHAR"
    elif kind == "date":
        text = f"""'"' || strftime({name}, '%Y-%m-%d') || '"'"""
    elif kind == "timestamp_us_utc":
        text = f"""'"' || strftime({name} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%f') || 'Z"'"""
    elif kind == "datetime_us_local":
        text = f"""'"' || strftime({name}, '%Y-%m-%dT%H:%M:%S.%f') || '"'"""
    elif kind == "binary":
        text = f"""'"' || lower(hex({name})) || '"'"""
    else:
        raise SystemExit(f"unknown type {kind}")
    return f"coalesce({text}, 'null')"


def leaf_hashes(connection, bag, archive, table, columns, seed):
    block = seed.ljust(64, b"\0")
    inner = bytes(b ^ 0x36 for b in block).hex()
    outer = bytes(b ^ 0x5C for b in block).hex()
    context = (b"evidence-bag/v1 leaf-salt\0" + table.encode() + b"\0").hex()
    parts = sorted(glob.glob(os.path.join(glob.escape(bag), "data", "tables", table, "part-*.parquet")))
    if not parts:
        raise SystemExit(f"{table}: no parts")
    values = " || ',' || ".join(
        quoted(json.dumps(c["name"]) + ":") + " || " + value_sql(c) for c in sorted(columns, key=lambda c: c["name"])
    )
    head = quoted('{"archive":"' + archive + '","row":"')
    middle = quoted('","table":"' + table + '","values":{')
    files = ", ".join(quoted(p) for p in parts)
    query = f"""
        WITH rows AS (
            SELECT *, row_number() OVER (ORDER BY filename, file_row_number) - 1 AS "#i"
            FROM read_parquet([{files}], filename = true, file_row_number = true)
        ), salted AS (
            SELECT *, substr(sha256(from_hex('{outer}') ||
                from_hex(sha256(from_hex('{inner}{context}' || printf('%016x', "#i"))))), 1, 32) AS "#salt"
            FROM rows
        )
        SELECT sha256('\\x00'::BLOB || encode(
            {head} || "#i" || '","salt":"' || "#salt" ||
            {middle} || {values} || '}}}}'))
        FROM salted ORDER BY "#i"
    """
    cursor = connection.execute(query)
    while chunk := cursor.fetchmany(10_000):
        for (digest,) in chunk:
            yield bytes.fromhex(digest)


def fold(hashes):
    """Root of the tree: pairs level by level, an odd last node carried up."""
    level = list(hashes)
    count = len(level)
    if not level:
        return sha256(b""), 0
    while len(level) > 1:
        pairs = [sha256(b"\x01" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            pairs.append(level[-1])
        level = pairs
    return level[0], count


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    bag = sys.argv[1]
    envelopes = sorted(glob.glob(os.path.join(glob.escape(bag), "signatures", "statement.*.dsse.json")))
    if not envelopes:
        print("no statement", file=sys.stderr)
        return 1
    with open(envelopes[0], encoding="utf-8") as f:
        predicate = json.loads(base64.b64decode(json.load(f)["payload"], validate=True))["predicate"]
    with open(os.path.join(bag, "data", "blinding", "leaf-salts.json"), encoding="utf-8") as f:
        salts = json.load(f)
    signed = {t["name"]: t for t in predicate["tables"]}
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    wrong = 0
    for table in sys.argv[2:] or sorted(signed):
        if table not in signed:
            print(f"FAIL {table}: not in the statement")
            wrong += 1
            continue
        with open(os.path.join(bag, signed[table]["schema"]["name"]), encoding="utf-8") as f:
            columns = json.load(f)["columns"]
        seed = base64.b64decode(salts[table]["seed"], validate=True)
        root, count = fold(leaf_hashes(connection, bag, predicate["archiveId"], table, columns, seed))
        is_equal = root.hex() == signed[table]["rootHash"] and count == signed[table]["rows"]
        wrong += not is_equal
        print(f"{'OK' if is_equal else 'FAIL'} {table}: {count} rows, root {root.hex()}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
