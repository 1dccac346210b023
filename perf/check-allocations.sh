#!/bin/sh
# Runs the benchmarks of the data plane and fails when a row allocates other than perf/DynamicSharding.Benchmarks/expected-allocations.json says.
set -eu
cd "$(dirname "$0")/DynamicSharding.Benchmarks"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
dotnet run -c Release -- check-allocations expected-allocations.json >"$log" 2>&1 || status=$?
grep -E '^(ok   |FAIL |[0-9]+ passed)' "$log" || { status=1; tail -50 "$log"; }
exit "$status"
