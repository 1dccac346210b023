#!/usr/bin/env bash
# The same redirect by dynamic-sharding, nginx, HAProxy, Kestrel and a C floor, side by side on pinned cores. Installs what it needs from Debian,
# builds, runs everything interleaved, and writes a table, a chart and the raw figures to artifacts/compare (or --out FOLDER).
#
#   perf/compare/run.sh [compare.py's options]     about 20 minutes; --rounds 3 --seconds 3 for a quick look
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

missing=()
for tool in nginx:nginx-light haproxy:haproxy wrk:wrk cc:gcc taskset:util-linux; do
    command -v "${tool%%:*}" >/dev/null || PATH=$PATH:/usr/sbin command -v "${tool%%:*}" >/dev/null || missing+=("${tool#*:}")
done
if ((${#missing[@]})); then
    # Nothing may start a service of its own: the comparison starts what it measures, on ports of its own.
    policy=/usr/sbin/policy-rc.d
    [[ -e $policy ]] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; }
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi
export PATH=$PATH:/usr/sbin

work=artifacts/compare
mkdir -p "$work"
cc -O2 -o "$work/floor" perf/compare/floor.c
dotnet build perf/compare/kestrel -c Release -v quiet -o "$work/kestrel"
dotnet build src/DynamicSharding -c Release -v quiet
dotnet publish src/DynamicSharding -c Release -r "linux-$([[ $(uname -m) == aarch64 ]] && echo arm64 || echo x64)" -o "$work/aot" -v quiet

exec python3 perf/compare/compare.py --floor "$PWD/$work/floor" --kestrel "$PWD/$work/kestrel/Kestrel" --aot "$PWD/$work/aot/dynamic-sharding" \
    --jit "$PWD/src/DynamicSharding/bin/Release/net10.0/dynamic-sharding" --out "$work" "$@"
