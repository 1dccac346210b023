#!/usr/bin/env bash
# Builds the arm64 package on another machine and tests it there: lintian, links, the .rpm of the same tree, and the program under qemu: the
# packaged configuration, one push with its 307, the page of metrics, a reload, and a stop.
#
#   packaging/test-arm64.sh [BINARY]      like ARCH=arm64 packaging/build-deb.sh
#
# Needs what tests/install-peers.sh installs, a Debian source that has arm64, and root for the network namespace. What qemu cannot show is the
# kernel: the system calls are this machine's.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

fail() { echo "test-arm64: FAILED: $*" >&2; exit 1; }
ok() { echo "test-arm64: $*"; }

# The cross compiler's C library, and OpenSSL from Debian's arm64 packages, without that architecture on this machine.
sysroot() {
    local apt=(apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root -o Dir::State::lists="$WORK/lists"
        -o Dir::Cache="$WORK/cache" -o Dir::State::status=/dev/null)
    mkdir -p "$WORK/lists/partial" "$WORK/cache/archives/partial" "$WORK/sysroot"
    ("${apt[@]}" update && cd "$WORK/cache" && "${apt[@]}" download libssl3) >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2; fail "no libssl3 for arm64: does this machine's Debian source have that architecture?"; }
    dpkg-deb -x "$WORK"/cache/libssl3_*_arm64.deb "$WORK/sysroot"
    cp -a /usr/aarch64-linux-gnu/lib "$WORK/sysroot/"
    cp -a "$WORK"/sysroot/usr/lib/aarch64-linux-gnu/. "$WORK/sysroot/lib/"
}

run() { exec qemu-aarch64 -L "$WORK/sysroot" "$WORK/tree/usr/bin/dynamic-sharding" "$@"; }

# In a network namespace, so that the packaged configuration is used unchanged.
serve_one_push() {
    local server reply code=0
    ip link set lo up
    (run --config.file "$WORK/tree/etc/dynamic-sharding/dynamic-sharding.yml") >"$WORK/server.log" 2>&1 &
    server=$!
    reply=$(packaging/demo-push.sh "$server") \
        || { cat "$WORK/server.log" >&2; fail "no response"; }
    grep -qxF "Location: http://127.0.0.1:9091/metrics/job/demo/instance/a" <<<"$reply" || fail "the response: $reply"
    curl -fsS --noproxy '*' http://127.0.0.1:9293/metrics | grep '^dynamic_sharding_ring_members 1$' >/dev/null || fail "the metrics"
    [[ $(curl -fsS --noproxy '*' -X POST http://127.0.0.1:9293/-/reload) == OK ]] || fail "the reload"
    kill -TERM "$server"
    wait "$server" || code=$?
    ((code == 0)) || { cat "$WORK/server.log" >&2; fail "its exit code after SIGTERM is $code"; }
}

for program in aarch64-linux-gnu-gcc qemu-aarch64 lintian rpmbuild cpio; do
    command -v $program >/dev/null || fail "$program is missing; run tests/install-peers.sh"
done
[[ -e /usr/aarch64-linux-gnu/lib/crti.o ]] || fail "the C library for arm64 is missing; run tests/install-peers.sh"
((EUID == 0)) || fail "run as root"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
ARCH=arm64 OUT=$WORK/out packaging/build-deb.sh "$@" >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2; fail "build-deb.sh"; }
DEB=$(echo "$WORK"/out/*_arm64.deb)
lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$DEB" || fail lintian
dpkg-deb -x "$DEB" "$WORK/tree"
packaging/check-links.py "$WORK/tree" >/dev/null || fail "links"
ok "built, lintian has no errors and no warnings: $(dpkg-deb -f "$DEB" Architecture), depends on $(dpkg-deb -f "$DEB" Depends)"
packaging/build-rpm.sh "$DEB" >/dev/null
ok "the .rpm of the same tree is built and checked"
sysroot
export -f serve_one_push run fail
export WORK
timeout 300 unshare --net --pid --fork --mount-proc --kill-child bash -euo pipefail -c serve_one_push
ok "redirects a push under qemu, reloads, and stops"
