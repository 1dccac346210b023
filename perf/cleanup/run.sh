#!/usr/bin/env bash
# What cleanup costs: a pass over 100 gateways with 10,000 groups each, and three Pushgateways that become four under load. Installs what it needs
# from Debian, builds, measures, and writes the section of docs/performance.md and the raw figures to artifacts/cleanup.
#
#   perf/cleanup/run.sh [cleanup.py's options]     about 8 minutes; --parts '' writes the document from the last figures
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

tests/install-peers.sh prometheus-pushgateway gcc

work=artifacts/cleanup
mkdir -p "$work"
dotnet publish src/DynamicSharding -c Release -r "linux-$([[ $(uname -m) == aarch64 ]] && echo arm64 || echo x64)" -o "$work/aot" -v quiet
dotnet publish perf/cleanup/gateways -c Release -o "$work/gateways" -v quiet

python3 perf/cleanup/cleanup.py --aot "$PWD/$work/aot/dynamic-sharding" --gateways "$PWD/$work/gateways/DynamicSharding.Cleanup.Gateways.dll" --out "$PWD/$work" --write "$@"
