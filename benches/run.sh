#!/usr/bin/env bash
# benches/run.sh [ORDERS] — speed and memory of the release binary on a pinned synthetic merchant, beside DuckDB's plain
# copy of the same source tables in the same run. Prints a table; writes nothing outside a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."
orders=${1:-1000000}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/sealport/target}
venv=${XDG_CACHE_HOME:-$HOME/.cache}/sealport/venv-bench
[ -x "$venv/bin/python" ] || { python3 -m venv "$venv"; "$venv/bin/pip" install -q duckdb==1.4.4 duckdb-ext-sqlite==1.4.4.20260205; }
cargo build --release --locked
exec "$venv/bin/python" benches/bench.py "$CARGO_TARGET_DIR/release/sealport" "$orders"
