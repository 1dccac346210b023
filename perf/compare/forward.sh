#!/usr/bin/env bash
# Forward mode beside nginx as a proxy, and the redirect listener with and without it. Installs what it needs from Debian, builds, measures, and
# writes the section of docs/performance.md and the raw figures to artifacts/compare.
#
#   perf/compare/forward.sh [forward.py's options]     about 8 minutes; --parts '' writes the document from the last figures
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 PATH=$PATH:/usr/sbin

source perf/compare/install.sh
install_missing nginx:nginx-light wrk:wrk cc:gcc taskset:util-linux

work=artifacts/compare
mkdir -p "$work"
cc -O2 -o "$work/gateway" perf/compare/gateway.c
cc -O2 -o "$work/forwarder" perf/compare/forwarder.c
dotnet build perf/DynamicSharding.LoadTests -c Release -v quiet
dotnet publish src/DynamicSharding -c Release -r "linux-$([[ $(uname -m) == aarch64 ]] && echo arm64 || echo x64)" -o "$work/aot" -v quiet

python3 perf/compare/forward.py --aot "$PWD/$work/aot/dynamic-sharding" --gateway "$PWD/$work/gateway" --forwarder "$PWD/$work/forwarder" --out "$PWD/$work" --write "$@"
