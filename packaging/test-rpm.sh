#!/usr/bin/env bash
# Installs an .rpm with rpm and lets its own scripts run: installation, a start, upgrades with a broken and with a good configuration, removal.
#
#   packaging/test-rpm.sh FILE.rpm
#
# Needs root and rpm. It happens on a copy-on-write view of this Debian under systemd (packaging/machine.sh), so nothing of it stays; the
# dependencies, which have other names here, are not checked.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
RPM=$(readlink -f "$1")
readonly RPM PACKAGE=dynamic-sharding CONFIG=/etc/dynamic-sharding/dynamic-sharding.yml ENVIRONMENT=/etc/default/dynamic-sharding
export LC_ALL=C

fail() { echo "test-rpm: FAILED: $*" >&2; exit 1; }
ok() { echo "test-rpm: $*"; }

expect() { # what, actual, expected
    [[ $2 == "$3" ]] || fail "$1 is \"$2\" and should be \"$3\""
}

# shellcheck source=packaging/machine.sh
source packaging/machine.sh

rpm_inside() { # what to do; its output is in $WORK/log
    inside rpm --dbpath /var/lib/rpm-test --force-debian "$@" >"$WORK/log" 2>&1 </dev/null || { cat "$WORK/log" >&2; fail "rpm $*"; }
}

upgrade() { rpm_inside -U --replacepkgs --nodeps /srv/package.rpm; }

install_package() {
    # Who has the file already keeps it, and its mode.
    inside sh -c "umask 077 && echo CONSUL_HTTP_TOKEN=secret >$ENVIRONMENT"
    rpm_inside -i --nodeps /srv/package.rpm
    expect "the environment of before" "$(inside cat $ENVIRONMENT)" CONSUL_HTTP_TOKEN=secret
    inside rm "$ENVIRONMENT"
    inside sh -c "[ -e $ENVIRONMENT.rpmnew ]" || fail "no new environment beside the one of before"
    inside rm "$ENVIRONMENT.rpmnew"
    upgrade

    expect "the environment's owner and mode" "$(inside stat -c '%U:%G %a' $ENVIRONMENT)" "root:root 600"
    expect "the configuration's owner and mode" "$(inside stat -c '%U:%G %a' $CONFIG)" "root:$PACKAGE 640"
    expect "the user's shell" "$(inside getent passwd $PACKAGE | cut -d: -f7)" /sbin/nologin
    expect "rpm's verdict on the files" "$(inside rpm --dbpath /var/lib/rpm-test --force-debian -V --nodeps $PACKAGE)" ""
    # As packages of that world do.
    expect "the state after the installation" "$(inside systemctl is-active $PACKAGE.service || true)" inactive
    expect "whether it starts with the machine" "$(inside systemctl is-enabled $PACKAGE.service || true)" disabled
    ok "installed; the environment is for root only, and one of before is kept"
}

run_service() {
    inside sh -c "echo 'ARGS=\"--log.level=debug\"' >>$ENVIRONMENT"
    inside systemctl start $PACKAGE.service || fail "the service does not start: $(inside systemctl status $PACKAGE.service)"
    inside grep -qzx -e --log.level=debug "/proc/$(main_pid)/cmdline" || fail "the unit does not read $ENVIRONMENT"
    ok "starts, with the flags in $ENVIRONMENT"
}

upgrade_running() {
    inside cp -p $CONFIG /srv/good.yml
    inside sh -c "echo 'colour: red' >>$CONFIG"
    expect_refusal "an upgrade with a broken configuration" "this is not a known key" upgrade
    expect "the configuration's last line" "$(inside tail -n 1 $CONFIG)" "colour: red"

    # As its user, who must be able to read every file. rpm resets the mode of a file that nobody has edited.
    inside cp -p /srv/good.yml $CONFIG
    inside sh -c "echo '# edited' >>$CONFIG"
    inside chmod 600 $CONFIG
    expect_refusal "an upgrade with a file that only root can read" "cannot be read by this user" upgrade
    inside chmod 640 $CONFIG

    expect_restart "an upgrade" upgrade
    check_environment upgrade
    expect "the environment's last line" "$(inside tail -n 1 $ENVIRONMENT)" 'ARGS="--log.level=debug"'
    expect "its mode" "$(inside stat -c %a $ENVIRONMENT)" 600

    # What does not run is not started.
    inside systemctl stop $PACKAGE.service
    upgrade
    expect "the state of a stopped service after an upgrade" "$(inside systemctl is-active $PACKAGE.service || true)" inactive
    ok "an upgrade restarts the service that runs, but not into a configuration that it refuses in the service's environment, or cannot read"
}

remove() {
    inside systemctl start $PACKAGE.service
    rpm_inside -e $PACKAGE
    expect "the state after the removal" "$(inside systemctl is-active $PACKAGE.service || true)" inactive
    inside sh -c '[ ! -e /usr/bin/dynamic-sharding ]' || fail "the program is still there"
    expect "the edited environment after the removal" "$(inside tail -n 1 $ENVIRONMENT.rpmsave)" 'ARGS="--log.level=debug"'
    expect "its mode" "$(inside stat -c %a $ENVIRONMENT.rpmsave)" 600
    ok "the removal stops the service and keeps what was edited"
}

((EUID == 0)) || fail "run as root"
[[ ! -e /usr/bin/$PACKAGE ]] || fail "$PACKAGE is installed here: the view of this machine would have it"
WORK=$(mktemp -d)
chmod 755 "$WORK"
trap 'end_machine; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM
boot_machine "$RPM" package.rpm
install_package
run_service
upgrade_running
remove
