#!/usr/bin/env bash
# The version of what is checked out: that of the tag v1.2.3 on this commit, else the one in Directory.Build.props (0.1.0-dev).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tag=$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null || true)
if [[ -n $tag ]]; then
    if [[ ! $tag =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]]; then
        echo "version: the tag $tag is not v<major>.<minor>.<patch>[-<pre-release>]" >&2
        exit 1
    fi
    echo "${tag#v}"
else
    sed -n 's#.*<Version>\(.*\)</Version>.*#\1#p' Directory.Build.props
fi
