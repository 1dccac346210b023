#!/usr/bin/env bash
# The same redirect by dynamic-sharding, nginx, HAProxy, Kestrel and a C floor, side by side on pinned cores. Installs what it needs from Debian,
# builds, runs everything interleaved, and prints a table; raw figures go to artifacts/compare.
#
#   perf/compare/run.sh [compare.py's options]                 about 25 minutes; --rounds 3 --seconds 2 --pairs 3 for a quick look
#   perf/compare/run.sh --write docs/performance.md            puts the figures into the document
#   perf/compare/run.sh --parts syscalls --servers floor,nginx,aot,inline,pool --keep --write docs/performance.md   where the time goes
#   perf/compare/run.sh --gate                                 what CI runs: the CPU ratio to nginx on kept connections, one minute
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 PATH=$PATH:/usr/sbin

gate=
if [[ ${1:-} == --gate ]]; then
    gate=1
    shift
fi

tools=(nginx:nginx-light wrk:wrk cc:gcc taskset:util-linux python3:python3)
[[ $gate ]] || tools+=(haproxy:haproxy)
[[ $* != *syscalls* ]] || tools+=(strace:strace)
source perf/compare/install.sh
install_missing "${tools[@]}"

work=$PWD/artifacts/compare
mkdir -p "$work"
build() { dotnet "$@" -v quiet >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }; }
cc -O2 -o "$work/floor" perf/compare/floor.c
build publish src/DynamicSharding -c Release -r "linux-$([[ $(uname -m) == aarch64 ]] && echo arm64 || echo x64)" -o "$work/aot"
options=(--floor "$work/floor" --aot "$work/aot/dynamic-sharding")
if [[ $gate ]]; then
    exec python3 perf/compare/compare.py "${options[@]}" --parts throughput --servers nginx,aot --workloads 'keep-alive, (8|64) ' --rounds 5 --seconds 2 --max-ratio 1.15
fi

build build perf/compare/kestrel -c Release -o "$work/kestrel"
build build perf/compare/sockets -c Release -o "$work/sockets"
build build perf/DynamicSharding.LoadTests -c Release
build build src/DynamicSharding -c Release
exec python3 perf/compare/compare.py "${options[@]}" --kestrel "$work/kestrel/Kestrel" --sockets "$work/sockets/DynamicSharding.Compare.Sockets" --jit "$PWD/src/DynamicSharding/bin/Release/net10.0/dynamic-sharding" \
    --out "$work" "$@"
