#!/usr/bin/env python3
"""leak_scan.py SOURCE_DB CASE: no raw staff identifier or secret of the sample merchant may stand in anything the
program wrote about the case: archives (Parquet decoded by DuckDB), assessments, reports, journal. It knows the
sample merchant's own tables and nothing about the program. The worklist is local and may name logins."""
import pathlib, sqlite3, sys
import duckdb

source, case = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
columns = {
    "sys_user": ["emp_no", "login", "pwd_hash", "real_name", "mobile", "openid"],
    "t_login": ["login"],
    "t_token": ["token"],
    "t_miniapp": ["app_secret"],
    "t_mch": ["api_key"],
    "secrets": ["cfg_value"],
}
db = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
identifiers = set()
# The configuration table also holds the site's name, which is no secret.
db.execute("CREATE TEMP VIEW secrets AS SELECT cfg_value FROM sys_config WHERE cfg_key LIKE '%key' OR cfg_key LIKE '%secret'")
for table, names in columns.items():
    for name in names:
        for (value,) in db.execute(f'SELECT DISTINCT "{name}" FROM "{table}" WHERE "{name}" IS NOT NULL'):
            value = str(value)
            if len(value) >= 6 or any(ord(c) > 0x2E80 for c in value) and len(value) >= 2:
                identifiers.add(value)
assert len(identifiers) > 300, f"only {len(identifiers)} identifiers: the list of columns does not fit the database"


def hits(text):
    return [i for i in identifiers if i in text]


failed, texts = 0, 0
for path in sorted((case / "out").rglob("*")):
    if not path.is_file() or path.name == "worklist.csv":
        continue
    if path.suffix == ".parquet":
        con = duckdb.connect()
        con.execute("SET TimeZone='UTC'")
        names = [r[0] for r in con.execute(f"DESCRIBE SELECT * FROM read_parquet('{path}')").fetchall()]
        for name in names:
            values = con.execute(f"SELECT DISTINCT CAST(\"{name}\" AS VARCHAR) FROM read_parquet('{path}') WHERE \"{name}\" IS NOT NULL").fetchall()
            blob = "\n".join(v for (v,) in values)
            texts += 1
            found = hits(blob)
            # A name of two characters may be part of an ordinary word; from three on it may not.
            found = [f for f in found if len(f) > 2 or name in ("detail", "note", "buyer_note", "content", "memo", "remark")]
            if found:
                failed += 1
                print(f"LEAK {path.relative_to(case)} column {name}: {len(found)} identifiers")
    else:
        blob = path.read_bytes().decode("utf-8", "replace")
        texts += 1
        found = [f for f in hits(blob) if len(f) > 2]
        if found:
            failed += 1
            print(f"LEAK {path.relative_to(case)}: {len(found)} identifiers")
print(f"{len(identifiers)} identifiers, {texts} texts scanned, {failed} leaks")
sys.exit(1 if failed else 0)
