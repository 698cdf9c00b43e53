#!/usr/bin/env bash
# benches/run.sh [ORDERS] — speed and memory of the release binary on a pinned synthetic merchant, beside DuckDB's plain
# copy of the same source tables in the same run.
# benches/run.sh engines [ROWS] — the same payments sealed from SQLite, PostgreSQL and MySQL (SEALPORT_TEST_POSTGRES,
# SEALPORT_TEST_MYSQL), beside DuckDB's scanners and ConnectorX.
# Prints a table; writes nothing outside a temporary folder and two scratch databases.
# SEALPORT_BENCH_BINARY measures another binary than the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/sealport/target}
venv=${XDG_CACHE_HOME:-$HOME/.cache}/sealport/venv-bench
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check duckdb==1.4.4 duckdb-ext-sqlite==1.4.4.20260205 \
  duckdb-ext-postgres==1.4.4.20260205 duckdb-ext-mysql==1.4.4.20260205 connectorx==0.4.6 pyarrow==26.0.1
binary=${SEALPORT_BENCH_BINARY:-}
if [ -z "$binary" ]; then
  cargo build --release --locked
  binary=$CARGO_TARGET_DIR/release/sealport
fi
if [ "${1:-}" = engines ]; then
  exec "$venv/bin/python" benches/engines.py "$binary" "${2:-2000000}" "$SEALPORT_TEST_POSTGRES" "$SEALPORT_TEST_MYSQL"
fi
exec "$venv/bin/python" benches/bench.py "$binary" "${1:-1000000}"
