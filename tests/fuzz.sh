#!/usr/bin/env bash
# Fuzzes the HTTP session with generated requests and the forward listener's relay with generated responses, each for the given number of
# minutes (default 10). A failure is shrunk and printed with its seed; set CsCheck_Seed=<seed> to start with it.
set -euo pipefail

readonly MINUTES=${1:-10}
[[ $MINUTES =~ ^[0-9]+([.][0-9]+)?$ ]] || { echo "usage: tests/fuzz.sh [minutes]" >&2; exit 2; }

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
export MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false
FUZZ_SECONDS=$(awk -v m="$MINUTES" 'BEGIN { print m * 60 }')
export FUZZ_SECONDS
exec dotnet test tests/DynamicSharding.Tests -c Release --filter Category=Fuzz --logger 'console;verbosity=normal' </dev/null
