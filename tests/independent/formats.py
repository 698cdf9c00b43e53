#!/usr/bin/env python3
"""Validates the files of a finished case, or of any folder of archives, against docs/formats/*.schema.json.

    formats.py FOLDER [KIND=FILE...]

Looks at every case.toml, chain.json, keyring.json, journal, archive, assessment and report below FOLDER; KIND=FILE adds
a saved answer, e.g. verify-answer=verify.json. Needs Python 3.11 and its package `jsonschema`. Also checks what a
schema cannot say: that the journal is an unbroken chain and that tables, control totals and reconciliation name the
same datasets. Prints one line per violation; ends with 1 if there is one, with 2 when there is nothing to look at.
"""

import base64
import datetime
import hashlib
import json
import sys
import tomllib
from collections import Counter
from pathlib import Path

from jsonschema import Draft202012Validator

FORMATS = Path(__file__).resolve().parent.parent.parent / "docs" / "formats"
STATEMENTS = {
    "https://sealport.dev/evidence-bag/v1": "archive-statement",
    "https://sealport.dev/assessment/v1": "assessment-statement",
    "https://sealport.dev/report/v1": "report-statement",
}


def strict(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a member occurs twice")
    return dict(pairs)


def parse(text):
    def refuse(word):
        raise ValueError(f"{word} is not JSON")

    return json.loads(text, object_pairs_hook=strict, parse_constant=refuse)


def plain(value):
    """TOML as JSON: dates and instants as ISO 8601 text."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return value


class Check:
    def __init__(self, root):
        self.root = root
        self.validators, self.seen, self.wrong = {}, Counter(), []
        for path in sorted(FORMATS.glob("*.schema.json")):
            schema = json.loads(path.read_text(encoding="utf-8"))
            Draft202012Validator.check_schema(schema)
            self.validators[path.name.removesuffix(".schema.json")] = Draft202012Validator(schema)

    def complain(self, where, text):
        shown = where.relative_to(self.root) if where.is_relative_to(self.root) else where
        self.wrong.append(f"{shown}: {text}")

    def value(self, kind, value, where, line=""):
        self.seen[kind] += 1
        for error in self.validators[kind].iter_errors(value):
            # Inside a choice the nearest alternative says what is wrong.
            best = min(error.context, key=lambda e: -len(e.absolute_path)) if error.context else error
            self.complain(where, f"{line}{kind}: {best.json_path}: {best.message[:300]}")

    def text(self, kind, text, where, line=""):
        try:
            value = parse(text)
        except ValueError as error:
            self.complain(where, f"{line}not JSON: {error}")
            return None
        self.value(kind, value, where, line)
        return value

    def file(self, kind, path):
        return self.text(kind, path.read_text(encoding="utf-8"), path)

    def lines(self, kind, path):
        text = path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            self.complain(path, "the last line has no line feed")
        return [self.text(kind, line, path, f"line {n}: ") for n, line in enumerate(text.splitlines(), 1)]

    def statement(self, path):
        envelope = self.file("envelope", path)
        if envelope is None:
            return None
        payload = base64.b64decode(envelope["payload"], validate=True).decode()
        kind = STATEMENTS.get(parse(payload).get("predicateType"))
        if kind is None:
            self.complain(path, "a predicate type that no schema describes")
            return None
        return self.text(kind, payload, path, "payload: ")

    def archive(self, bag):
        for path in sorted(bag.glob("data/schema/*.schema.json")):
            table = self.file("table", path)
            if table and table["name"] + ".schema.json" != path.name:
                self.complain(path, f"describes the table {table['name']}")
        self.lines("custody", bag / "data/custody/custody.jsonl")
        reconciliation = self.file("reconciliation", bag / "data/custody/reconciliation.json")
        for path in sorted(bag.glob("signatures/statement.*.dsse.json")):
            statement = self.statement(path)
            if not statement or not reconciliation:
                continue
            rows = {t["name"]: t["rows"] for t in statement["predicate"]["tables"]}
            for name, total in statement["predicate"]["controlTotals"].items():
                if rows.get(name) != total["rows"]:
                    self.complain(path, f"control totals count {total['rows']} rows of {name}, the table has {rows.get(name)}")
            for name, entry in reconciliation["datasets"].items():
                written = sum(feed["rowsWritten"] for feed in entry["feeds"])
                if not rows.get(name) == entry["rows"] == written:
                    self.complain(path, f"{name}: {rows.get(name)} rows signed, {entry['rows']} reconciled, {written} written")
            raw = reconciliation.get("raw", {})
            for name, entry in raw.items():
                if not rows.get(name) == entry["rows"]:
                    self.complain(path, f"{name}: {rows.get(name)} rows signed, {entry['rows']} reconciled")
            if "raw" in reconciliation and (extra := {n for n in rows if n.startswith("raw_")} - set(raw)):
                self.complain(path, f"raw tables that nothing accounts for: {', '.join(sorted(extra))}")

    def journal(self, path):
        self.lines("journal", path)
        previous = "0" * 64
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if parse(line).get("previous") != previous:
                self.complain(path, f"line {n}: the chain is broken")
            previous = hashlib.sha256(line.encode()).hexdigest()

    def folder(self):
        names = {
            "chain.json": lambda p: self.file("chain", p),
            "keyring.json": lambda p: self.file("keyring", p),
            "assessment.json": lambda p: self.file("assessment", p),
            "journal.jsonl": self.journal,
            "case.toml": lambda p: self.value("case", plain(tomllib.loads(p.read_text(encoding="utf-8"))), p),
            "bagit.txt": lambda p: self.archive(p.parent),
        }
        for path in sorted(self.root.rglob("*")):
            inside = path.relative_to(self.root).parts
            if not path.is_file() or "inputs" in inside or any("-bad-" in part for part in inside):
                continue
            if path.name in names:
                names[path.name](path)
            elif path.match("statement.*.dsse.json") and path.parent.name != "signatures":
                self.statement(path)


def main():
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    check = Check(Path(sys.argv[1]).resolve())
    check.folder()
    for argument in sys.argv[2:]:
        kind, _, file = argument.partition("=")
        if kind not in check.validators or not file:
            print(f"no format is called {kind}; known: {', '.join(check.validators)}", file=sys.stderr)
            return 2
        check.file(kind, Path(file).resolve())
    for line in check.wrong:
        print(f"FAIL {line}")
    print(", ".join(f"{kind} {n}" for kind, n in sorted(check.seen.items())) + f": {len(check.wrong)} violations")
    if not check.seen:
        return 2
    return 1 if check.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
