#!/usr/bin/env python3
"""bench.py SEALPORT ORDERS: wall time, rows/s, MB/s and peak resident memory of synth, seal, verify and check; then
DuckDB copies the same tables of the same SQLite file to zstd Parquet."""
import csv, json, os, pathlib, platform, shutil, subprocess, sys, tempfile, time

binary, orders = sys.argv[1], int(sys.argv[2])
work = pathlib.Path(tempfile.mkdtemp(prefix="sealport-bench-"))
case = work / "case"


def measured(name, argv, rows=None, size=None):
    # A child of its own per step, so that ru_maxrss is that step's peak.
    code = "import resource,subprocess,sys,json,time\ns=time.monotonic()\np=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE)\nt=time.monotonic()-s\nprint(json.dumps([t,p.returncode,resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,p.stdout.decode()]))"
    done = subprocess.run([sys.executable, "-c", code, *argv], stdout=subprocess.PIPE, text=True, check=True)
    seconds, status, peak, out = json.loads(done.stdout)
    assert status in (0, 1, 5), (name, status, out[-500:])
    line = f"{name:<28}{seconds:9.1f} s {peak / 1024:9.0f} MiB"
    if rows:
        line += f" {rows / seconds:12,.0f} rows/s"
    if size:
        line += f" {size / seconds / 1e6:8.1f} MB/s"
    print(line, flush=True)
    return out


print(f"{platform.machine()} · {os.cpu_count()} cores · {next((l.split(':')[1].strip() for l in open('/proc/cpuinfo') if l.startswith('model name')), '?')}")
measured(f"synth {orders:,} orders", [binary, "synth", "--out", str(case), "--orders", str(orders), "--seed", "1", "--quiet"])
database = case / "source/shop.db"
size = database.stat().st_size
print(f"source: {size / 1e6:,.0f} MB SQLite")
sealed = json.loads(measured("seal", [binary, "seal", str(case), "--quiet", "--format", "json"], size=size))
rows = sealed["rows"]
print(f"        {rows:,} rows written = rows/s from the line above: {rows:,} rows")
archive, keyring = sealed["archive"], str(case / "keyring/keyring.json")
bag = sum(p.stat().st_size for p in pathlib.Path(archive).rglob("*") if p.is_file())
print(f"archive: {bag / 1e6:,.0f} MB")
measured("verify, rows", [binary, "verify", archive, "--keyring", keyring, "--quiet"], rows=rows, size=bag)
measured("verify, files", [binary, "verify", archive, "--keyring", keyring, "--scope", "files", "--quiet"], size=bag)
checked = json.loads(measured("check", [binary, "check", str(case), "--quiet", "--format", "json"]))
found = {(r["policy"], r["subject"], r["reason"]) for r in csv.DictReader(open(checked["findings_file"], newline="", encoding="utf-8"))}
truth = {(t["policy"], t["subject"], t["reason"]) for t in json.load(open(case / "truth.json", encoding="utf-8"))}
print(f"findings: {len(truth)} planted, {len(found & truth)} found, {len(truth - found)} missed, {len(found - truth)} surplus")

peer = f"""
import duckdb, pathlib, sqlite3
tables = [r[0] for r in sqlite3.connect('file:{database}?mode=ro', uri=True).execute("SELECT name FROM sqlite_master WHERE type='table'")]
con = duckdb.connect(config={{"allow_unsigned_extensions": "true"}})
extension = next(pathlib.Path(duckdb.__file__).parent.parent.glob("duckdb_ext/extensions/*/*/sqlite_scanner.duckdb_extension"))
con.execute(f"LOAD '{{extension}}'")
con.execute("ATTACH '{database}' AS shop (TYPE sqlite)")
for t in tables:
    con.execute(f"COPY shop.\\"{{t}}\\" TO '{work}/{{t}}.parquet' (FORMAT parquet, COMPRESSION zstd)")
"""
try:
    measured("DuckDB, plain copy", [sys.executable, "-c", peer], size=size)
except (AssertionError, subprocess.CalledProcessError) as e:
    print("DuckDB could not read SQLite here:", str(e)[-300:])
shutil.rmtree(work)
