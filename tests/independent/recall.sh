#!/usr/bin/env bash
# recall.sh SEALPORT CASE PYTHON: run the case and require that the findings are exactly the planted faults.
set -euo pipefail
sealport=$1; case=$2; python=$3
set +e
"$sealport" run "$case" --quiet --format json > "$case/run.json"
code=$?
set -e
# 0 clean, 1 findings, 5 when a planted gap leaves a policy unevaluated
case $code in 0|1|5) ;; *) echo "run ended with $code"; exit 1 ;; esac
"$python" - "$case" <<'PY'
import csv, glob, json, sys
case = sys.argv[1]
truth = {(t["policy"], t["subject"], t["reason"]) for t in json.load(open(f"{case}/truth.json"))}
files = glob.glob(f"{case}/out/assessments/*/findings.csv")
assert len(files) == 1, files
found = [(r["policy"], r["subject"], r["reason"]) for r in csv.DictReader(open(files[0], newline="", encoding="utf-8"))]
assert len(found) == len(set(found)), "a finding is listed twice"
missed, surplus = truth - set(found), set(found) - truth
for line in sorted(missed)[:20]: print("missed ", line)
for line in sorted(surplus)[:20]: print("surplus", line)
print(f"{case}: {len(truth)} planted, {len(found)} found, {len(missed)} missed, {len(surplus)} surplus")
sys.exit(1 if missed or surplus else 0)
PY
