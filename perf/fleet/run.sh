#!/usr/bin/env bash
# A fleet of edges around a real Consul cluster: what a change of the ring costs, how long edges disagree, and whether a restart of everything is
# a herd. Installs what it needs from Debian, builds, measures, prints tables and a picture; figures go to artifacts/fleet.
#
#   perf/fleet/run.sh [fleet.py's options]                                  the default sizes, some minutes each
#   perf/fleet/run.sh --sizes 3x3 --quiet 10 --servers 1                    a quick look
#   perf/fleet/run.sh --sizes '' --write docs/scale.md                      writes the document from the last figures
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

tests/install-peers.sh consul gcc python3 ip setpriv

work=$PWD/artifacts/fleet
mkdir -p "$work"
build() { dotnet "$@" -v quiet >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }; }
cc -O2 -o "$work/gateways" perf/fleet/gateways.c
build build perf/fleet/DynamicSharding.Fleet -c Release -o "$work/fleet"
build publish src/DynamicSharding -c Release -r "linux-$([[ $(uname -m) == aarch64 ]] && echo arm64 || echo x64)" -o "$work/aot"

command=(python3 perf/fleet/fleet.py --gateways "$work/gateways" --fleet "$work/fleet/DynamicSharding.Fleet.dll" --aot "$work/aot/dynamic-sharding" --out "$work" "$@")
# In a network of its own, where Consul's ports and the gateways' are free; without the right to one, in this machine's.
if unshare -rn true 2>/dev/null; then
    exec unshare -rn sh -c 'ip link set lo up && exec "$@"' fleet "${command[@]}"
fi
exec "${command[@]}"
