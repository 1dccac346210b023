#!/usr/bin/env bash
# Builds the package and tests its life on a machine: lintian, installation, a start as its own user with its own configuration and one push,
# an upgrade that keeps an edited configuration, removal, and a purge that leaves nothing behind.
#
#   packaging/test-deb.sh [BINARY]        like packaging/build-deb.sh
#
# Needs root and a machine without the package. Process 1 need not be systemd; if it is, no service is started. Servers listen in their own
# network namespace, so that the packaged configuration can be used unchanged.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly PACKAGE=dynamic-sharding
readonly CONFIG=/etc/$PACKAGE/$PACKAGE.yml
readonly UNIT=/lib/systemd/system/$PACKAGE.service
readonly POLICY=/usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
unset ARGS

fail() { echo "test-deb: FAILED: $*" >&2; exit 1; }
ok() { echo "test-deb: $*"; }

expect() { # what, actual, expected
    [[ $2 == "$3" ]] || fail "$1 is \"$2\" and should be \"$3\""
}

# shellcheck source=packaging/machine.sh
source packaging/machine.sh

# Every path on the machine with the package's name, and what dpkg knows of it.
# Not what man-db caches of a page that someone reads: it is man-db's, and goes with its next run.
traces() {
    find /etc /usr /lib /var /run -xdev -name '*dynamic-sharding*' -not -path '/usr/local/lib/dynamic-sharding-tests*' \
        -not -path '/etc/apt/*' -not -path '/var/lib/apt/*' -not -path '/var/lock/*' -not -path '/run/lock/*' -not -path '/run/user/*' \
        -not -path '/var/cache/man/*' 2>/dev/null | sort -u
    dpkg-query -W -f '${Package} ${Status}\n' $PACKAGE 2>/dev/null || true
    getent passwd $PACKAGE || true
    getent group $PACKAGE || true
}

forbid_service_starts() {
    [[ ! -e $POLICY ]] || mv "$POLICY" "$WORK/policy-rc.d"
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
}

restore() {
    local code=$?
    trap - EXIT
    # A failed test must leave neither its machine nor its package behind.
    end_machine
    dpkg --purge $PACKAGE >/dev/null 2>&1 || true
    rm -f "$POLICY"
    [[ ! -e $WORK/policy-rc.d ]] || mv "$WORK/policy-rc.d" "$POLICY"
    rm -rf "$WORK"
    exit "$code"
}

quietly() {
    "$@" >"$WORK/log" 2>&1 </dev/null || { cat "$WORK/log" >&2; fail "$*"; }
}

as_user() { # replaces the (sub)shell: runs as the service's user with an empty environment
    exec env -i PATH=/usr/bin:/bin setpriv --reuid=$PACKAGE --regid=$PACKAGE --init-groups -- "$@"
}

build() {
    local first
    quietly env OUT="$WORK/out" packaging/build-deb.sh "$@"
    first=$(cat "$WORK/out/SHA256SUMS")
    # Time has passed; the result must be the same.
    sleep 1
    quietly env OUT="$WORK/out" packaging/build-deb.sh "$@"
    expect "the second build" "$(cat "$WORK/out/SHA256SUMS")" "$first"
    (cd "$WORK/out" && sha256sum --check --quiet SHA256SUMS) || fail "SHA256SUMS"
    ok "built twice, byte for byte the same"
}

check_tags() {
    git clone -q --shared --no-checkout --no-tags . "$WORK/clone"
    mkdir "$WORK/clone/packaging"
    cp packaging/version.sh "$WORK/clone/packaging/"
    cp Directory.Build.props "$WORK/clone/"
    expect "the version without a tag" "$("$WORK/clone/packaging/version.sh")" "$(sed -n "s#.*<Version>\(.*\)</Version>.*#\1#p" Directory.Build.props)"
    local tag
    for tag in 1.2.3 1.2.3-rc.1; do
        git -C "$WORK/clone" -c user.name=t -c user.email=t@example.org tag -a -m release "v$tag"
        expect "the version of the tag v$tag" "$("$WORK/clone/packaging/version.sh")" "$tag"
        git -C "$WORK/clone" tag -d "v$tag" >/dev/null
    done
    git -C "$WORK/clone" tag v1.2
    if "$WORK/clone/packaging/version.sh" >/dev/null 2>&1; then fail "v1.2 is taken for a version"; fi
    ok "the version is that of the tag"
}

check_versions() {
    local version revision
    version=$(packaging/version.sh)
    revision=$(git rev-parse HEAD)
    expect "the Debian version" "$(dpkg-deb -f "$DEB" Version)" "${version/-/\~}"
    dpkg --compare-versions "${version/-/\~}" ge 0.1.0~dev || fail "the version goes backwards"
    tar -xOzf "$WORK/out/$PACKAGE-$version-linux-$(dpkg --print-architecture).tar.gz" --wildcards '*/dynamic-sharding' >"$WORK/from-tar"
    chmod 755 "$WORK/from-tar"
    for program in "$WORK/from-tar" /usr/bin/$PACKAGE; do
        [[ $("$program" --version) == "dynamic-sharding, version $version (revision $revision)" ]] || fail "$program says $("$program" --version)"
    done
    ok "package, archive and program are version $version"
}

check_lintian() {
    lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$DEB" || fail lintian
    ok "lintian has no errors and no warnings"
}

check_documents() {
    local root
    dpkg-deb -x "$DEB" "$WORK/in-package"
    mkdir "$WORK/in-archive"
    tar -xzf "$WORK"/out/*.tar.gz -C "$WORK/in-archive" --strip-components=1
    for root in "$WORK/in-package" "$WORK/in-archive"; do quietly python3 packaging/check-links.py "$root"; done
    ok "no link in the documents of package and archive is dead"
}

check_rpm() {
    local rpm
    rpm=$(packaging/build-rpm.sh "$DEB") || fail "no .rpm of the same tree"
    ok "an .rpm of the same tree has its files, dependencies and links, and its program runs"
    packaging/test-rpm.sh "$rpm" || fail "the .rpm's own scripts"
}

install_package() {
    local page
    # The command of the README, with dependencies; the installations below use dpkg.
    quietly apt-get -y -q -o DPkg::Lock::Timeout=600 --no-install-recommends install "$DEB"
    expect "the package's status" "$(dpkg-query -W -f '${Status}' $PACKAGE)" "install ok installed"
    expect "the configuration's owner and mode" "$(stat -c '%U:%G %a' $CONFIG)" "root:$PACKAGE 640"
    expect "the environment's owner and mode" "$(stat -c '%U:%G %a' /etc/default/$PACKAGE)" "root:root 600"
    cmp -s packaging/environment /etc/default/$PACKAGE || fail "the environment is not the shipped one"
    expect "the user's shell" "$(getent passwd $PACKAGE | cut -d: -f7)" /usr/sbin/nologin
    grep -qxF "User=$PACKAGE" $UNIT || fail "the unit runs as another user"
    # Copies: of an installed page, man(1) may keep what it formatted.
    for page in man1/$PACKAGE.1 man5/$PACKAGE.yml.5; do
        gzip -dc "/usr/share/man/$page.gz" >"$WORK/${page#*/}"
        quietly man -l -Tutf8 "$WORK/${page#*/}"
    done
    quietly systemd-analyze verify $UNIT /lib/systemd/system/$PACKAGE.socket
    expect "dpkg's verdict on the files" "$(dpkg --verify $PACKAGE)" ""
    ok "installed"
}

# Runs inside the namespaces, which end all processes with them: the unit's command as its user, and one push.
serve_one_push() {
    local command server reply code=0
    ip link set lo up
    command=$(sed -n 's/^ExecStart=//p' $UNIT)
    command=${command/\$ARGS/}
    [[ -n $command ]] || fail "no ExecStart in $UNIT"
    # shellcheck disable=SC2086 # split into words like systemd does
    (as_user $command) >"$WORK/server.log" 2>&1 &
    server=$!
    reply=$(packaging/demo-push.sh "$server") \
        || { cat "$WORK/server.log" >&2; fail "no response"; }
    expect "the response" "${reply%%$'\n'*}" "HTTP/1.1 307 Temporary Redirect"
    grep -qxF "Location: http://127.0.0.1:9091/metrics/job/demo/instance/a" <<<"$reply" || fail "the response's Location: $reply"
    (as_user /usr/bin/$PACKAGE healthcheck --config.file $CONFIG) || fail healthcheck
    curl -fsS --noproxy '*' http://127.0.0.1:9293/metrics | grep '^dynamic_sharding_ring_members 1$' >/dev/null || fail "the metrics"
    expect "the process's user" "$(stat -c %U "/proc/$server")" $PACKAGE
    kill -TERM "$server"
    wait "$server" || code=$?
    expect "its exit code after SIGTERM" "$code" 0
}

check_runs() {
    local said
    said=$(as_user /usr/bin/$PACKAGE check-config $CONFIG 2>&1) || fail "check-config of the installed configuration: $said"
    # A fresh installation knows only one gateway.
    expect "the installed configuration's warnings" "$(sed -n 's/.*: warning: //p' <<<"$said" | cut -d, -f1)" \
        "pushgateway.servers: all pushes go to one server"
    (as_user /usr/bin/$PACKAGE check-config /usr/share/doc/$PACKAGE/examples/$PACKAGE.yml) || fail "check-config of the example"
    export -f serve_one_push as_user fail expect
    export PACKAGE CONFIG UNIT WORK
    unshare --net --pid --fork --mount-proc --kill-child bash -euo pipefail -c serve_one_push
    ok "runs as $PACKAGE with the installed configuration, and answers a push with its 307"
}

complete() { # words; prints the completions of the last one
    bash -c '
        source /usr/share/bash-completion/completions/dynamic-sharding
        builtin complete -p dynamic-sharding >/dev/null
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _dynamic_sharding "$1"
        echo "${COMPREPLY[*]}"' complete "$@"
}

check_completion() {
    expect "completion of check" "$(complete $PACKAGE check)" check-config
    expect "completion of --log." "$(complete $PACKAGE --log.)" "--log.level --log.format"
    expect "completion of --log.level=d" "$(complete $PACKAGE --log.level = d)" debug
    expect "completion of simulate --keys" "$(complete $PACKAGE simulate --keys)" "--keys --keys.file"
    expect "completion after a flag with a value" "$(complete $PACKAGE --config.file x --log.f)" --log.format
    expect "completion of a file" "$(complete $PACKAGE check-config $CONFIG)" $CONFIG
    expect "zsh's completion of --log.l" "$(tests/completion/zsh.py /usr/share/zsh/vendor-completions "$PACKAGE --log.l")" --log.level
    expect "fish's completion of check" "$(HOME=$WORK fish -c "complete -C '$PACKAGE check'" | cut -f1)" check-config
    ok "bash, zsh and fish complete commands, flags, values and files"
}

upgrade() {
    local number
    number=$(id -u $PACKAGE)
    echo '# edited' >>$CONFIG
    chmod 600 $CONFIG
    quietly dpkg -i "$DEB"
    expect "the configuration's last line" "$(tail -n 1 $CONFIG)" "# edited"
    expect "the configuration's mode" "$(stat -c '%G %a' $CONFIG)" "$PACKAGE 600"
    expect "the user's number" "$(id -u $PACKAGE)" "$number"
    ok "an upgrade over itself keeps the edited configuration"
}

# Without what takes most of the time: the triggers of other packages, such as man-db's, and fsync(2).
upgrade_inside() { inside dpkg --no-triggers --force-unsafe-io -i /srv/package.deb; }

expect_no_reload() { # what
    inside systemctl show --property=ExecReload $PACKAGE.service | grep ' check-config .* pid=0 ' >/dev/null || fail "$1 has reloaded it"
}

check_service() {
    local main config=$WORK/machine/good.yml
    boot_machine "$DEB" package.deb
    # The policy of this test forbids starts outside only.
    inside rm -f "$POLICY"
    quietly inside dpkg -i /srv/package.deb
    quietly inside systemctl is-active $PACKAGE.service
    # Every restart would wait for a load balancer.
    inside sh -c "echo 'shutdown: {drain_delay: 0s}' >>$CONFIG"
    inside cat $CONFIG >"$config"

    inside sh -c "echo 'colour: red' >>$CONFIG"
    expect_refusal "an upgrade with a broken configuration" "this is not a known key" upgrade_inside

    # As its user, who must be able to read every file.
    inside tee $CONFIG <"$config" >/dev/null
    inside chmod 600 $CONFIG
    expect_refusal "an upgrade with a file that only root can read" "cannot be read by this user" upgrade_inside
    inside chmod 640 $CONFIG

    expect_restart "an upgrade" upgrade_inside
    check_environment upgrade_inside

    # What may not be restarted is not reloaded either; what may only not be reloaded is still checked.
    main=$(main_pid)
    inside sh -c "printf '#!/bin/sh\nexit 101\n' >$POLICY && chmod 755 $POLICY"
    quietly upgrade_inside
    expect "the process after an upgrade that may not restart it" "$(main_pid)" "$main"
    expect_no_reload "an upgrade that may not restart the service"
    inside sh -c "printf '#!/bin/sh\n[ \$2 != reload ] || exit 101\n' >$POLICY"
    inside sh -c "echo 'colour: red' >>$CONFIG"
    expect_refusal "an upgrade that may not reload, with a broken configuration" "this is not a known key" upgrade_inside
    inside tee $CONFIG <"$config" >/dev/null
    expect_restart "an upgrade that may not reload" upgrade_inside
    expect_no_reload "an upgrade that may not reload the service"
    inside rm $POLICY

    # What has failed loses nothing, and starts.
    inside sh -c "echo 'colour: red' >>$CONFIG"
    inside systemctl restart $PACKAGE.service >/dev/null 2>&1 || true
    expect "the state with a broken configuration" "$(inside systemctl is-active $PACKAGE.service || true)" failed
    inside tee $CONFIG <"$config" >/dev/null
    quietly upgrade_inside
    expect "the state after an upgrade with the mended one" "$(inside systemctl is-active $PACKAGE.service)" active
    end_machine
    ok "an upgrade restarts the service, but not into a configuration that it refuses in the service's environment, nor against policy-rc.d"
}

remove() {
    quietly dpkg -r $PACKAGE
    [[ ! -e /usr/bin/$PACKAGE ]] || fail "the program is still there"
    expect "the configuration's last line after the removal" "$(tail -n 1 $CONFIG)" "# edited"
    quietly dpkg -i "$DEB"
    expect "the configuration's last line after the return" "$(tail -n 1 $CONFIG)" "# edited"
    quietly dpkg -P $PACKAGE
    expect "what is left behind" "$(traces)" "$BEFORE"
    ok "removal keeps the configuration, purge leaves nothing"
}

((EUID == 0)) || fail "run as root"
if dpkg-query -W -f '${Status}' $PACKAGE 2>/dev/null | grep -q ' installed$'; then fail "$PACKAGE is installed here: not touching it"; fi
if getent passwd $PACKAGE >/dev/null; then fail "there is a user $PACKAGE already: not touching it"; fi
WORK=$(mktemp -d)
chmod 755 "$WORK"
BEFORE=$(traces)
trap restore EXIT
trap 'exit 130' INT TERM
forbid_service_starts

check_tags
build "$@"
DEB=$(echo "$WORK"/out/*.deb)
check_lintian
check_documents
check_rpm
# Before the package is on this machine: the other one begins as a copy of it.
check_service
install_package
check_versions
check_runs
check_completion
upgrade
remove
