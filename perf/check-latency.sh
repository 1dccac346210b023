#!/bin/sh
# Guards the latency of pushes on kept connections: ten seconds of open-loop load on the server's binary, with thresholds that only a
# disaster breaks (an error, a stall of seconds), since CI machines are noisy. DYNAMIC_SHARDING_BINARY names another build to test.
set -eu
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

build() {
  dotnet build -c Release "$1" >"$log" 2>&1 && return
  tail -50 "$log"
  echo "0 passed, 1 failed"
  exit 1
}

[ -n "${DYNAMIC_SHARDING_BINARY:-}" ] || build src/DynamicSharding
build perf/DynamicSharding.LoadTests
# A modest rate: what is wrong at a tenth of what one core can do is wrong, whoever else is on the machine.
dotnet perf/DynamicSharding.LoadTests/bin/Release/net10.0/DynamicSharding.LoadTests.dll \
  --server "${DYNAMIC_SHARDING_BINARY:-src/DynamicSharding/bin/Release/net10.0/dynamic-sharding}" \
  --scenario keep-alive --duration 10s --rate 5000 --report-dir artifacts/load-tests
