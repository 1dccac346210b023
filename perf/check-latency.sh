#!/bin/sh
# Guards the latency of pushes on kept connections: ten seconds of open-loop load on the server's binary, with thresholds that only a
# disaster breaks (an error, a stall of seconds): CI machines are noisy. DYNAMIC_SHARDING_BINARY names another build, as the NativeAOT one.
set -eu
cd "$(dirname "$0")/.."

binary=${DYNAMIC_SHARDING_BINARY:-src/DynamicSharding/bin/Release/net10.0/dynamic-sharding}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

build() {
  dotnet build -c Release "$1" >"$log" 2>&1 && return
  tail -50 "$log"
  echo "0 passed, 1 failed"
  exit 1
}

[ -x "$binary" ] || build src/DynamicSharding
build perf/DynamicSharding.LoadTests
# The host may pin both processes to fewer cores than two; a quarter of a core's worth of requests leaves room for everything else.
exec dotnet perf/DynamicSharding.LoadTests/bin/Release/net10.0/DynamicSharding.LoadTests.dll \
  --server "$binary" --scenario keep-alive --duration 10s --rate "${LOAD_RATE:-5000}" --report-dir artifacts/load-tests
