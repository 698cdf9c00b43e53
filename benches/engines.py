#!/usr/bin/env python3
"""engines.py SEALPORT ROWS POSTGRES_URL MYSQL_URL: the same payments (18 columns) in SQLite, PostgreSQL and MariaDB, sealed
from each; beside them, in the same run, DuckDB's plain copy of the same table to zstd Parquet (sqlite, postgres and
mysql scanners) and ConnectorX into pyarrow's zstd Parquet. The two server databases are made anew and dropped."""
import csv, json, os, pathlib, platform, random, shutil, sqlite3, subprocess, sys, tempfile
from urllib.parse import urlparse, unquote

binary, count, postgres, mysql = sys.argv[1], int(sys.argv[2]), urlparse(sys.argv[3]), urlparse(sys.argv[4])
work = pathlib.Path(tempfile.mkdtemp(prefix="sealport-engines-"))
NAME = "sealport_bench"
COLUMNS = ["id", "out_trade_no", "order_no", "merchant_no", "app_id", "channel", "channel_trade_no", "payer", "amount", "fee",
           "refunded", "state", "ip", "created_at", "expires_at", "paid_at", "notified_at", "operator"]


def rows():
    rng = random.Random(1)
    for i in range(1, count + 1):
        second, minute, hour, day = i % 60, i // 60 % 60, 8 + i % 12, 1 + i % 28
        at = f"2026-{1 + i % 9:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        amount = rng.randrange(1, 50_000)
        paid = i % 10 != 0
        yield [i, f"T{i:016}", f"O{i:016}", f"16000{i % 7:05}", f"wx{i % 3:016}", ("wechat", "alipay", "unionpay")[i % 3],
               f"42000{rng.randrange(10**20):021}", f"o{rng.randrange(10**9):027}", f"{amount / 100:.2f}", f"{amount * 6 // 1000 / 100:.2f}",
               "0.00", 2 if paid else 1, f"10.{i % 200}.{i // 7 % 250}.{i % 250}", at, at, at if paid else None, at if paid else None,
               f"cashier.{i % 40:03}"]


TYPES = {"sqlite": "INTEGER PRIMARY KEY|TEXT|DECIMAL(10,2)|INTEGER|TEXT", "postgres": "BIGINT PRIMARY KEY|VARCHAR(40)|NUMERIC(10,2)|SMALLINT|TIMESTAMP",
         "mysql": "BIGINT PRIMARY KEY|VARCHAR(40)|DECIMAL(10,2)|TINYINT(1)|DATETIME"}


def create(engine):
    key, text, money, state, time = TYPES[engine].split("|")
    kind = {"id": key, "amount": money, "fee": money, "refunded": money, "state": state,
            **{c: time for c in ("created_at", "expires_at", "paid_at", "notified_at")}}
    return "CREATE TABLE pay (" + ", ".join(f"{c} {kind.get(c, text)}" for c in COLUMNS) + ")"


def client(engine, statement, database=None):
    if engine == "postgres":
        env = {**os.environ, "PGPASSWORD": unquote(postgres.password or "")}
        argv = ["psql", "-q", "-h", postgres.hostname, "-p", str(postgres.port or 5432), "-U", postgres.username, "-d", database or postgres.path[1:], "-c", statement]
    else:
        env = {**os.environ, "MYSQL_PWD": unquote(mysql.password or "")}
        argv = ["mysql", "--local-infile=1", "-h", mysql.hostname, "-P", str(mysql.port or 3306), "-u", mysql.username, *([database] if database else []), "-e", statement]
    subprocess.run(argv, env=env, check=True)


def load():
    lines = work / "pay.csv"
    with open(lines, "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for row in rows():
            writer.writerow(["\\N" if v is None else v for v in row])
    db = sqlite3.connect(work / "pay.db")
    db.execute(create("sqlite"))
    with open(lines, newline="") as source:
        db.executemany(f"INSERT INTO pay VALUES ({','.join('?' * len(COLUMNS))})", ([None if v == "\\N" else v for v in row] for row in csv.reader(source)))
    db.commit()
    for engine in ("postgres", "mysql"):
        client(engine, f"DROP DATABASE IF EXISTS {NAME}")
        client(engine, f"CREATE DATABASE {NAME}")
        client(engine, create(engine), NAME)
    client("postgres", f"\\copy pay FROM '{lines}' WITH (FORMAT csv, NULL '\\N')", NAME)
    client("postgres", "VACUUM ANALYZE pay", NAME)
    client("mysql", f"LOAD DATA LOCAL INFILE '{lines}' INTO TABLE pay FIELDS TERMINATED BY ','; ANALYZE TABLE pay", NAME)
    lines.unlink()


MAPPING = '''
[mapping]
id = "bench"
version = 1
zone = "Asia/Shanghai"
zone_evidence = "bench"
[enum.state]
"1" = "created"
"2" = "succeeded"
[dataset.payments]
evidence = "recorded"
order = "p.id"
conv.status = { enum = "state" }
conv.amount_fen = { money = "yuan" }
conv.fee_fen = { money = "yuan" }
conv.refunded_fen = { money = "yuan" }
conv.created_at = { time = "local" }
conv.expires_at = { time = "local" }
conv.paid_at = { time = "local" }
conv.notified_at = { time = "local" }
conv.currency = { const = "CNY" }
sql.default = """SELECT p.id AS payment_ref, p.order_no AS order_ref, p.out_trade_no, p.merchant_no AS mch_id, p.app_id AS app_ref,
 p.channel AS platform, p.amount AS amount_fen, p.fee AS fee_fen, p.refunded AS refunded_fen, p.state AS status, p.created_at, p.expires_at,
 p.paid_at, p.notified_at, p.merchant_no AS merchant_ref FROM pay p"""
[dataset.staff]
evidence = "recorded"
conv.state = { const = "active" }
sql.default = "SELECT DISTINCT p.operator AS staff_ref, p.operator AS login_name FROM pay p"
'''


def server_seconds():
    """CPU time of the servers, when they run on this machine."""
    ticks = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() in ("postgres", "mariadbd", "mysqld"):
                ticks += sum(map(int, (process / "stat").read_text().rsplit(")", 1)[1].split()[11:15]))
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


def measured(name, argv, env=None):
    code = ("import resource,subprocess,sys,json,time\ns=time.monotonic()\np=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE,stderr=subprocess.PIPE)\n"
            "t=time.monotonic()-s\nr=resource.getrusage(resource.RUSAGE_CHILDREN)\n"
            "print(json.dumps([t,r.ru_utime+r.ru_stime,p.returncode,r.ru_maxrss,(p.stdout+p.stderr).decode()]))")
    before = server_seconds()
    done = subprocess.run([sys.executable, "-c", code, *argv], stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **(env or {})})
    seconds, cpu, status, peak, out = json.loads(done.stdout)
    if status not in (0, 5):
        print(f"{name:<34} failed: {out.strip().splitlines()[-1] if out.strip() else status}", flush=True)
        return
    print(f"{name:<34}{seconds:8.1f} s{cpu:8.1f} s CPU{server_seconds() - before:8.1f} s in the server{peak / 1024:7.0f} MiB"
          f"{count / seconds:12,.0f} rows/s, load {os.getloadavg()[0]:.1f}", flush=True)


def seal(engine, url, password):
    case = work / f"case-{engine}"
    case.mkdir()
    (case / "mapping.toml").write_text(MAPPING)
    (case / "case.toml").write_text(
        f'format = 1\n[case]\nkind = "audit"\ntitle = "bench"\nmerchant = "bench"\nstream = "bench"\nlayers = ["canonical"]\nas_of = 2026-10-01T00:00:00+08:00\n'
        f'window = {{ from = 2026-01-01, to = 2026-10-01 }}\n[[source]]\nname = "shop"\nurl = "{url}"\nmapping = "mapping.toml"\n')
    subprocess.run([binary, "keys", "new", str(case), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    measured(f"seal from {engine}", [binary, "seal", str(case), "--quiet"], {"SEALPORT_PASSWORD_SHOP": password} if password else None)


DUCK = """
import duckdb, pathlib, sys
kind, attach, out = sys.argv[1:]
con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
root = pathlib.Path(duckdb.__file__).parent.parent
con.execute(f"LOAD '{next(root.glob(f'duckdb_ext/extensions/*/*/{kind}_scanner.duckdb_extension'))}'")
con.execute(f"ATTACH '{attach}' AS shop (TYPE {kind}, READ_ONLY)")
con.execute(f"COPY (SELECT * FROM shop.pay) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")
"""
CONNECTORX = """
import connectorx, pyarrow.parquet, sys
url, out = sys.argv[1:]
pyarrow.parquet.write_table(connectorx.read_sql(url, "SELECT * FROM pay", return_type="arrow"), out, compression="zstd")
"""

print(f"{platform.machine()} · {os.cpu_count()} cores · {next((l.split(':')[1].strip() for l in open('/proc/cpuinfo') if l.startswith('model name')), '?')} · {count:,} payments, {len(COLUMNS)} columns")
load()
pg_password, my_password = unquote(postgres.password or ""), unquote(mysql.password or "")
pg_host, my_host = f"{postgres.hostname}:{postgres.port or 5432}", f"{mysql.hostname}:{mysql.port or 3306}"
seal("sqlite", f"sqlite://{work}/pay.db", "")
seal("postgres", f"postgres://{postgres.username}@{pg_host}/{NAME}", pg_password)
seal("mysql", f"mysql://{mysql.username}@{my_host}/{NAME}", my_password)
out = str(work / "peer.parquet")
measured("DuckDB copy from sqlite", [sys.executable, "-c", DUCK, "sqlite", str(work / "pay.db"), out])
measured("DuckDB copy from postgres", [sys.executable, "-c", DUCK, "postgres", f"host={postgres.hostname} port={postgres.port or 5432} user={postgres.username} password={pg_password} dbname={NAME}", out])
measured("DuckDB copy from mysql", [sys.executable, "-c", DUCK, "mysql", f"host={mysql.hostname} port={mysql.port or 3306} user={mysql.username} passwd={my_password} database={NAME}", out])
measured("ConnectorX + pyarrow from sqlite", [sys.executable, "-c", CONNECTORX, f"sqlite://{work}/pay.db", out])
measured("ConnectorX + pyarrow from postgres", [sys.executable, "-c", CONNECTORX, f"postgresql://{postgres.username}:{pg_password}@{pg_host}/{NAME}", out])
measured("ConnectorX + pyarrow from mysql", [sys.executable, "-c", CONNECTORX, f"mysql://{mysql.username}:{my_password}@{my_host}/{NAME}", out])
for engine in ("postgres", "mysql"):
    client(engine, f"DROP DATABASE {NAME}")
shutil.rmtree(work)
