#!/usr/bin/env python3
"""Runs every fixture of every shipped policy and derived dataset in DuckDB and compares the result with what the
fixture expects.

Independent of the Rust program on purpose: it shares no code with it, only the policy files and the published
schema document. Needs Python 3.11 or newer and the packages `duckdb` and `pytz`.

    python policies_duckdb.py --policies policies/cn-miniprogram --schema docs/schema.json [IDS…]
                              [--engine-results FILE] [--results-to FILE] [--verbose]

Exit codes: 0 everything equal, 1 a difference, 2 input that cannot be used.
"""

import argparse
import datetime as dt
import json
import re
import sys
import tomllib
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

REFERENCE = {"retention_schedule", "code_map", "transitions", "calendar_day", "calendar_month"}
ROLES = ["platform-operator", "self-operated", "payment-institution"]
COVERS = {"fail", "pass", "boundary", "null", "empty"}
SQL_TYPES = {"string": "VARCHAR", "int64": "BIGINT", "bool": "BOOLEAN", "date": "DATE", "timestamp_us_utc": "TIMESTAMPTZ"}
PARAM_COLUMN_TYPES = {"text": "VARCHAR", "int": "BIGINT", "fen": "BIGINT", "flag": "BOOLEAN", "date": "DATE",
                      "duration": "VARCHAR", "period": "VARCHAR", "ratio": "VARCHAR"}
CONTEXT = ["as_of", "as_of_on", "window_from", "window_to", "window_from_on", "window_to_on"]


class Wrong(Exception):
    """A policy or fixture that breaks the format; the message says where."""


def sql_type(name):
    if name.startswith("decimal("):
        return name.upper()
    return SQL_TYPES[name]


def load_toml(path):
    with open(path, "rb") as handle:
        return tomllib.load(handle)


def load_schema(path):
    """Canonical datasets: name -> ordered {column: description}."""
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    return {d["name"]: {c["name"]: c for c in d["columns"]} for d in document["datasets"]}


def calendar_days(as_of_on):
    """Local days from 1 January 31 years before to 31 December two years after; Monday to Friday are working days."""
    day, last = dt.date(as_of_on.year - 31, 1, 1), dt.date(as_of_on.year + 2, 12, 31)
    while day <= last:
        yield (day, day.weekday() < 5)
        day += dt.timedelta(days=1)


def calendar_months(as_of_on):
    for year in range(as_of_on.year - 31, as_of_on.year + 3):
        for month in range(1, 13):
            yield (dt.date(year, month, 1),)


def schedule_rows(pack):
    """One row per class and concrete role; `any` stands for all three roles."""
    for entry in load_toml(pack / "schedule.toml")["class"]:
        roles = ROLES if "any" in entry["roles"] else entry["roles"]
        for role in roles:
            yield {
                "data_class": entry["data_class"], "legal_role": role, "min_period": entry.get("min_period"),
                "pi_max_period": entry.get("pi_max_period"), "is_permanent": entry.get("is_permanent", False),
                "anchor_kind": entry.get("anchor_kind"), "basis_ref": "; ".join(entry.get("basis_ref", [])),
                "owner_role": entry.get("owner"),
            }


def csv_rows(path, columns):
    """A reference table of the pack: plain CSV, empty cell = null, typed by the schema."""
    import csv

    with open(path, newline="", encoding="utf-8") as handle:
        reader = csv.DictReader(handle)
        if list(reader.fieldnames or []) != list(columns):
            raise Wrong(f"{path}: header is {reader.fieldnames}, the schema says {list(columns)}")
        for row in reader:
            typed = {}
            for name, text in row.items():
                kind = columns[name]["type"]
                if text == "":
                    typed[name] = None
                elif kind == "int64":
                    typed[name] = int(text)
                elif kind == "bool":
                    if text not in ("true", "false"):
                        raise Wrong(f"{path}: `{text}` in `{name}` is neither true nor false")
                    typed[name] = text == "true"
                else:
                    typed[name] = text
            yield typed


def typed_cell(where, column, value):
    """Checks a TOML value against the canonical type."""
    kind, name = column["type"], column["name"]
    good = {
        "string": lambda v: isinstance(v, str),
        "int64": lambda v: isinstance(v, int) and not isinstance(v, bool),
        "bool": lambda v: isinstance(v, bool),
        "date": lambda v: isinstance(v, dt.date) and not isinstance(v, dt.datetime),
        "timestamp_us_utc": lambda v: isinstance(v, dt.datetime) and v.tzinfo is not None,
    }.get(kind, lambda v: isinstance(v, str))
    if not good(value):
        raise Wrong(f"{where}: `{name}` is {kind}, found {value!r}")
    words = column.get("vocabulary")
    if words and value not in words:
        raise Wrong(f"{where}: `{name}` is one of {words}, found {value!r}")
    if kind.startswith("decimal"):
        return Decimal(value)
    if kind == "timestamp_us_utc":
        return value.astimezone(dt.timezone.utc)
    return value


def dataset_rows(where, columns, rows, zone):
    """Typed rows with derived date twins."""
    for number, row in enumerate(rows, 1):
        place = f"{where} row {number}"
        for name in row:
            if name not in columns:
                raise Wrong(f"{place}: no column `{name}`")
        typed = {name: typed_cell(place, columns[name], value) for name, value in row.items()}
        for name, column in columns.items():
            twin_of = column.get("twin_of")
            if twin_of and name not in typed and typed.get(twin_of) is not None:
                typed[name] = typed[twin_of].astimezone(zone).date()
        yield typed


class Policy:
    """One policy folder, with the parts of the format this check relies on verified."""

    def __init__(self, folder):
        self.folder = folder
        self.toml = load_toml(folder / "policy.toml")
        self.id = self.toml["policy"]["id"]
        if self.id != folder.name:
            raise Wrong(f"{folder}: id `{self.id}` differs from the folder's name")
        self.kind = self.toml["policy"]["kind"]
        self.tests = load_toml(folder / "tests.toml") if (folder / "tests.toml").exists() else {}
        self.cases = self.tests.get("case", [])
        self.has_sql = "check" in self.toml and "sql_file" in self.toml["check"]
        self.params = self.toml.get("params", {})
        self.reasons = self.toml.get("reasons", {})
        self.evidence = list(self.toml.get("evidence", {}))
        if self.has_sql:
            self.sql = (folder / self.toml["check"]["sql_file"]).read_text(encoding="utf-8")
            self.population = self.toml["population"]["sql"]
            self.needs = self.toml["needs"]["columns"]

    def lint(self):
        """Coverage of the fixtures; returns complaints."""
        if not self.has_sql or self.toml["policy"].get("status") != "stable":
            return []
        complaints = []
        covered = {word for case in self.cases for word in case.get("covers", [])}
        if covered != COVERS:
            complaints.append(f"fixtures cover {sorted(covered)}, required {sorted(COVERS)}")
        seen = {f["reason"] for case in self.cases for f in case["expect"]["findings"]}
        for code in self.reasons:
            if code not in seen:
                complaints.append(f"no fixture expects reason `{code}`")
        for code in seen - set(self.reasons):
            complaints.append(f"fixture expects undeclared reason `{code}`")
        used = set(re.findall(r"\$([a-z_][a-z0-9_]*)", self.sql + self.population))
        tables = set(re.findall(r"\bparam_([a-z_][a-z0-9_]*)", self.sql + self.population))
        for name in self.params:
            if name not in used and name not in tables:
                complaints.append(f"parameter `{name}` is never used")
        for name in used - set(self.params) - set(CONTEXT):
            complaints.append(f"parameter `${name}` is not declared")
        complaints += outside_profile(self.sql + " " + self.population)
        if not re.search(r"ORDER BY finding_ref, finding_reason\s*$", self.sql):
            complaints.append("the last line is not `ORDER BY finding_ref, finding_reason`")
        return complaints


def outside_profile(text):
    """What in a text is not portable SQL, as far as patterns can tell."""
    bare = re.sub(r"--[^\n]*", "", text)
    bare = re.sub(r"'[^']*'", "''", bare)
    return [f"outside PSQL-1: {why}" for pattern, why in [
        (r"/", "division"), (r"\bNOT\s+IN\s*\(\s*SELECT\b", "NOT IN (subquery)"), (r"\bSELECT\s+\*", "SELECT *"),
        (r"\b(LIMIT|OFFSET|QUALIFY|LATERAL|PIVOT|RECURSIVE|AVG|STDDEV|ROUND|DOUBLE|REAL|DATE_TRUNC|EXTRACT|DATE_DIFF|AGE|NOW|RANDOM|CURRENT_DATE)\b", "forbidden word"),
        (r"\bAT\s+TIME\s+ZONE\b", "AT TIME ZONE"), (r"\bSELECT\s+DISTINCT\b", "SELECT DISTINCT"), (r"\bTIMESTAMP\s*'", "timestamp literal"),
        (r"\bDESC\b(?!\s+NULLS)", "DESC without NULLS"), (r"\bSUM\s*\(\s*[a-z_.]*_(fen|e6)\b", "SUM of a raw amount"), (r'"', "quoted identifier"),
    ] if re.search(pattern, bare, re.IGNORECASE)]


class Derived:
    """One derived dataset of the pack: a query without parameters, and cases that list every row it must give."""

    def __init__(self, folder, schema):
        self.toml = load_toml(folder / "derived.toml")
        self.name = self.toml["derived"]["dataset"]
        if self.name != folder.name or self.name not in schema:
            raise Wrong(f"{folder}: dataset `{self.name}` differs from the folder's name or does not exist")
        self.columns = schema[self.name]
        self.needs = self.toml["needs"]["columns"]
        self.sql = (folder / "query.sql").read_text(encoding="utf-8")
        self.tests = load_toml(folder / "tests.toml")
        self.cases = self.tests["case"]

    def lint(self):
        complaints = outside_profile(self.sql)
        if "$" in self.sql:
            complaints.append("a derived dataset takes no parameter")
        for column, description in self.columns.items():
            words = set(description.get("vocabulary") or [])
            seen = {row[column] for case in self.cases for row in case["expect"]["rows"] if column in row}
            if column == "kind" and words - seen:
                complaints.append(f"no case expects {sorted(words - seen)} in `{column}`")
        return complaints

    def run(self, case, schema, engine):
        """What differs from the expectation."""
        where = f"{self.name} `{case['name']}`"
        zone = ZoneInfo(case.get("zone", self.tests.get("zone", "Asia/Shanghai")))
        db = engine()
        try:
            for name, wanted in self.needs.items():
                columns = schema[name]
                data = dataset_rows(f"{where}: {name}", columns, case.get("rows", {}).get(name, []), zone)
                db.table(name, [(c, sql_type(columns[c]["type"])) for c in wanted], [tuple(row.get(c) for c in wanted) for row in data])
            names, found = db.query(self.sql, {})
        finally:
            db.close()
        if names != list(self.columns):
            raise Wrong(f"{where}: the query returns {names}, the schema says {list(self.columns)}")
        key = names[0]
        got = {row[0]: dict(zip(names, row)) for row in found}
        wrong = [] if len(got) == len(found) else [f"`{key}` repeats"]
        wanted = {row[key]: row for row in case["expect"]["rows"]}
        wrong += [f"missing row {ref}" for ref in sorted(set(wanted) - set(got))]
        wrong += [f"unexpected row {ref} ({got[ref]['kind']})" for ref in sorted(set(got) - set(wanted))]
        for ref in sorted(set(got) & set(wanted)):
            for column, value in wanted[ref].items():
                if got[ref][column] != (None if value == "null" else value):
                    wrong.append(f"{ref}: `{column}` is {got[ref][column]!r}, expected {value!r}")
        return wrong


class DuckDb:
    """One fresh database per case."""

    def __init__(self):
        import duckdb

        self.con = duckdb.connect(":memory:")
        self.con.execute("SET TimeZone = 'UTC'")
        self.con.execute("SET enable_external_access = false")
        self.con.execute("SET lock_configuration = true")

    def table(self, name, columns, rows):
        """columns: [(name, sql type)], rows: tuples."""
        self.con.execute(f"CREATE TABLE {name} ({', '.join(f'{n} {t}' for n, t in columns)})")
        rows = list(rows)
        marks = "(" + ", ".join("?" for _ in columns) + ")"
        for start in range(0, len(rows), 500):
            part = rows[start:start + 500]
            self.con.execute(f"INSERT INTO {name} VALUES {', '.join([marks] * len(part))}", [v for row in part for v in row])

    def query(self, sql, values):
        used = set(re.findall(r"\$([a-z_][a-z0-9_]*)", sql))
        cursor = self.con.execute(sql, {name: values[name] for name in used})
        return [c[0] for c in cursor.description], cursor.fetchall()

    def close(self):
        self.con.close()


def as_text(value):
    """Evidence values as the fixtures spell them."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.timezone.utc).isoformat()
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


class Runner:
    """Runs cases of one pack against one engine."""

    def __init__(self, pack, schema, engine=DuckDb):
        self.pack, self.schema, self.engine = pack, schema, engine

    def reference_rows(self, name, as_of_on):
        if name == "calendar_day":
            return [{"day_on": d, "is_workday": w} for d, w in calendar_days(as_of_on)]
        if name == "calendar_month":
            return [{"month_on": m} for (m,) in calendar_months(as_of_on)]
        if name == "retention_schedule":
            return list(schedule_rows(self.pack))
        return list(csv_rows(self.pack / "tables" / f"{name}.csv", self.schema[name]))

    def run(self, policy, case):
        """(outcome, population, [(subject, reason, evidence)])"""
        where = f"{policy.id} `{case['name']}`"
        zone = ZoneInfo(case.get("zone", policy.tests.get("zone", "Asia/Shanghai")))
        as_of = case.get("as_of", policy.tests.get("as_of"))
        window = case.get("window", policy.tests.get("window"))
        if as_of is None or window is None or as_of.tzinfo is None:
            raise Wrong(f"{where}: needs `as_of` with an offset, and `window`")
        as_of_on = as_of.astimezone(zone).date()
        start = lambda day: dt.datetime.combine(day, dt.time(), zone).astimezone(dt.timezone.utc)
        values = {"as_of": as_of.astimezone(dt.timezone.utc), "as_of_on": as_of_on, "window_from": start(window["from"]),
                  "window_to": start(window["to"]), "window_from_on": window["from"], "window_to_on": window["to"]}
        given = {**policy.tests.get("params", {}), **case.get("params", {})}
        for name in given:
            if name not in policy.params:
                raise Wrong(f"{where}: no parameter `{name}`")
        rows = case.get("rows", {})
        for name in rows:
            if name not in policy.needs:
                raise Wrong(f"{where}: rows for `{name}`, which the policy does not read")
        absent = [name for name in case.get("absent", []) if name in policy.needs]
        if absent:
            return "not-evaluated", 0, []
        db = self.engine()
        try:
            for name, declared in policy.params.items():
                value = given.get(name, declared["default"])
                if declared["type"] == "list":
                    db.table(f"param_{name}", [("value", "VARCHAR")], [(v,) for v in value])
                elif declared["type"] == "table":
                    columns = declared["columns"]
                    db.table(f"param_{name}", [(n, PARAM_COLUMN_TYPES[t]) for n, t in columns.items()],
                             [tuple(row.get(n) for n in columns) for row in value])
                else:
                    values[name] = value
            for name, wanted in policy.needs.items():
                if name not in self.schema:
                    raise Wrong(f"{policy.id}: needs unknown dataset `{name}`")
                columns = self.schema[name]
                for column in wanted:
                    if column not in columns:
                        raise Wrong(f"{policy.id}: needs `{name}.{column}`, which does not exist")
                if name in REFERENCE and name not in rows:
                    data = self.reference_rows(name, as_of_on)
                else:
                    data = dataset_rows(f"{where}: {name}", columns, rows.get(name, []), zone)
                db.table(name, [(c, sql_type(columns[c]["type"])) for c in wanted], [tuple(row.get(c) for c in wanted) for row in data])
            _, counted = db.query(policy.population, values)
            population = int(counted[0][0])
            names, found = db.query(policy.sql, values)
        finally:
            db.close()
        timed = [n for n in names if n in ("finding_at", "finding_on")]
        if names[:2] != ["finding_ref", "finding_reason"] or len(timed) > 1 or [n for n in names[2:] if n not in timed] != policy.evidence or (timed and names[2] != timed[0]):
            raise Wrong(f"{policy.id}: result columns {names} break the contract (evidence {policy.evidence})")
        findings, keys = [], set()
        for row in found:
            record = dict(zip(names, row))
            key = (record["finding_ref"], record["finding_reason"])
            if record["finding_ref"] is None or record["finding_reason"] not in policy.reasons:
                raise Wrong(f"{where}: finding {key} has no subject or an undeclared reason")
            if key in keys:
                raise Wrong(f"{where}: finding {key} appears twice")
            keys.add(key)
            findings.append((*key, {n: as_text(record[n]) for n in policy.evidence}))
        if findings and population == 0:
            raise Wrong(f"{where}: findings in an empty population")
        if population == 0:
            outcome = policy.toml["population"].get("on_empty", "not-applicable")
        else:
            outcome = "fail" if findings else "pass"
        return outcome, population, findings


def differences(case, outcome, population, findings):
    """What the fixture expected and did not get."""
    expect, wrong = case["expect"], []
    if outcome != expect["outcome"]:
        wrong.append(f"outcome {outcome}, expected {expect['outcome']}")
    if population != expect["population"]:
        wrong.append(f"population {population}, expected {expect['population']}")
    got, wanted = [f[:2] for f in findings], [(f["subject"], f["reason"]) for f in expect["findings"]]
    if got != wanted:
        wrong.append(f"findings\n      got      {got}\n      expected {wanted}")
    else:
        for (subject, _, evidence), f in zip(findings, expect["findings"]):
            for name, value in f.get("evidence", {}).items():
                if evidence.get(name) != as_text(value):
                    wrong.append(f"evidence `{name}` of {subject}: {evidence.get(name)!r}, expected {value!r}")
    return wrong


def main(engine=DuckDb):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent.parent.parent
    parser.add_argument("--policies", type=Path, default=here / "policies" / "cn-miniprogram")
    parser.add_argument("--schema", type=Path, default=here / "docs" / "schema.json")
    parser.add_argument("--engine-results", type=Path, help="findings the program itself produced for the same cases")
    parser.add_argument("--results-to", type=Path, help="write the findings of this run in the same form")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("ids", nargs="*")
    args = parser.parse_args()
    try:
        schema = load_schema(args.schema)
        policies = [Policy(p.parent) for p in sorted(args.policies.glob("*/*/policy.toml"))]
        derived = [Derived(p.parent, schema) for p in sorted(args.policies.glob("derived/*/derived.toml"))]
        engine_results = None
        if args.engine_results:
            engine_results = {(r["policy"], r["case"]): r for r in json.loads(args.engine_results.read_text(encoding="utf-8"))}
    except (OSError, ValueError, KeyError, Wrong) as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 2
    if args.ids:
        unknown = set(args.ids) - {p.id for p in policies} - {d.name for d in derived}
        if unknown:
            print(f"no such policy: {', '.join(sorted(unknown))}", file=sys.stderr)
            return 2
        policies = [p for p in policies if p.id in args.ids]
        derived = [d for d in derived if d.name in args.ids]
    runner = Runner(args.policies, schema, engine)
    passed = failed = 0
    results = []
    for dataset in derived:
        complaints = dataset.lint()
        for text in complaints:
            print(f"FAIL {dataset.name}: {text}")
        failed += len(complaints)
        for case in dataset.cases:
            try:
                wrong = dataset.run(case, schema, engine)
            except Wrong as error:
                wrong = [str(error)]
            except Exception as error:  # any engine error is a failed case, never a crash of the run
                wrong = [f"{type(error).__name__}: {error}"]
            passed, failed = passed + (not wrong), failed + bool(wrong)
            if wrong or args.verbose:
                print(f"{'FAIL' if wrong else 'ok  '} {dataset.name} `{case['name']}`")
            for text in wrong:
                print(f"    {text}")
    for policy in policies:
        complaints = policy.lint()
        for text in complaints:
            print(f"FAIL {policy.id}: {text}")
        failed += len(complaints)
        if not policy.has_sql:
            if args.verbose:
                print(f"     {policy.id}: {policy.kind}, no SQL")
            continue
        for case in policy.cases:
            try:
                outcome, population, findings = runner.run(policy, case)
                wrong = differences(case, outcome, population, findings)
                results.append({"policy": policy.id, "case": case["name"], "outcome": outcome, "population": population,
                                "findings": [list(f[:2]) for f in findings]})
                if engine_results is not None:
                    theirs = engine_results.get((policy.id, case["name"]))
                    if theirs is None:
                        wrong.append("the program reported nothing for this case")
                    else:
                        for key in ("outcome", "population", "findings"):
                            if theirs[key] != results[-1][key]:
                                wrong.append(f"the program's {key} is {theirs[key]}, DuckDB's {results[-1][key]}")
            except Wrong as error:
                wrong = [str(error)]
            except Exception as error:  # any engine error is a failed case, never a crash of the run
                wrong = [f"{type(error).__name__}: {error}"]
            if wrong:
                failed += 1
                print(f"FAIL {policy.id} `{case['name']}`")
                for text in wrong:
                    print(f"    {text}")
            else:
                passed += 1
                if args.verbose:
                    print(f"ok   {policy.id} `{case['name']}`")
    if args.results_to:
        args.results_to.write_text(json.dumps(results, ensure_ascii=False, indent=1), encoding="utf-8")
    if passed + failed == 0:
        print("no cases found", file=sys.stderr)
        return 2
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
