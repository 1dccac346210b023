# Sourced by test-deb.sh and test-rpm.sh: systemd as process 1 of namespaces of its own (tests/systemd/machine.sh), for a package's own units
# and scripts. Needs WORK, a folder, fail and expect.

MACHINE=''

inside() { nsenter --target "$(cat "$WORK/machine/pid")" --mount --pid --ipc --uts --cgroup --net --root --wd -- env -u ARGS "$@"; }

# The package becomes /srv/$2 in it.
boot_machine() { # package, name
    mkdir -p "$WORK/machine/files/srv" "$WORK/machine/files/etc/apt"
    cp "$1" "$WORK/machine/files/srv/$2"
    add_journal "$WORK/machine/files"
    unshare --net tests/systemd/machine.sh "$WORK/machine" >"$WORK/machine.log" 2>&1 &
    MACHINE=$!
    for _ in $(seq 300); do
        grep -qs '^booted$' "$WORK/machine.log" && break
        kill -0 "$MACHINE" 2>/dev/null || break
        sleep 0.2
    done
    grep -q '^booted$' "$WORK/machine.log" || { cat "$WORK/machine.log" >&2; fail "the machine does not boot"; }
    inside ip link set lo up
    inside systemctl start systemd-journald.service || fail "no journal: $(cat "$WORK/machine/manager.log")"
}

# Without the sockets in /dev and the kernel's log, which are those of the machine outside.
add_journal() { # folder
    local units=$1/usr/lib/systemd/system
    mkdir -p "$units" "$1/etc/systemd"
    printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\n' >"$1/etc/systemd/journald.conf"
    printf '[Unit]\nDefaultDependencies=no\n[Socket]\nListenDatagram=/run/systemd/journal/socket\nListenStream=/run/systemd/journal/stdout\nPassCredentials=yes\n' \
        >"$units/systemd-journald.socket"
    printf '[Unit]\nDefaultDependencies=no\nRequires=systemd-journald.socket\nAfter=systemd-journald.socket\n[Service]\nType=notify\nExecStart=/lib/systemd/systemd-journald\nStandardOutput=null\n' \
        >"$units/systemd-journald.service"
}

end_machine() {
    [[ -z $MACHINE ]] || { kill "$MACHINE" && wait "$MACHINE"; } 2>/dev/null || true
    MACHINE=''
}

# An upgrade that must leave the running process alone, and say why.
expect_refusal() { # what, sentence, upgrade...
    local what=$1 sentence=$2 main
    main=$(main_pid)
    "${@:3}" >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2; fail "$what"; }
    grep -q 'not restarted, because the configuration has errors; mend it, then: systemctl reload dynamic-sharding && systemctl restart' "$WORK/log" \
        || fail "$what says nothing: $(cat "$WORK/log")"
    grep -qF "$sentence" "$WORK/log" || fail "$what does not say which error: $(cat "$WORK/log")"
    expect "the process after $what" "$(main_pid)" "$main"
    expect "its state" "$(inside systemctl is-active dynamic-sharding.service)" active
}

expect_restart() { # what, upgrade...
    local what=$1 main
    main=$(main_pid)
    "${@:2}" >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2; fail "$what"; }
    [[ $(main_pid) != "$main" ]] || fail "$what does not restart the service: $(cat "$WORK/log")"
    expect "the state after $what" "$(inside systemctl is-active dynamic-sharding.service)" active
}

# Upgrades of a service whose configuration depends on its environment, which the package manager has not.
check_environment() { # upgrade...
    local environment=/etc/default/dynamic-sharding config=/etc/dynamic-sharding/dynamic-sharding.yml
    inside cp -p "$environment" /srv/environment
    inside cp -p "$config" /srv/configuration
    inside sh -c "printf '%s\n' 'http_listen_addr: 127.0.0.1:9292' 'discovery: consul' 'shutdown: {drain_delay: 0s}' >$config"
    inside sh -c "echo CONSUL_HTTP_ADDR=127.0.0.1:8501 >>$environment"
    expect_restart "an upgrade with Consul's address in the environment" "$@"
    inside grep -qzx CONSUL_HTTP_ADDR=127.0.0.1:8501 "/proc/$(main_pid)/environ" || fail "the service does not have the environment"
    CONSUL_HTTP_SSL=perhaps expect_restart "an upgrade by a package manager with a variable that the service has not" "$@"

    inside sh -c "echo CONSUL_HTTP_SSL=perhaps >>$environment"
    expect_refusal "an upgrade with a bad variable in the service's environment" "environment: CONSUL_HTTP_SSL: must be true or false" "$@"
    inside mkdir -p /etc/systemd/system/dynamic-sharding.service.d
    inside sh -c "printf '[Service]\nUnsetEnvironment=CONSUL_HTTP_SSL\n' >/etc/systemd/system/dynamic-sharding.service.d/test.conf"
    expect_restart "an upgrade with a drop-in that mends the environment" "$@"

    # Without the check of its reload, there is one with less of its environment.
    inside sh -c "printf '[Service]\nExecReload=\n' >>/etc/systemd/system/dynamic-sharding.service.d/test.conf"
    expect_restart "an upgrade with a drop-in that takes the reload away" "$@"
    inside sh -c "echo 'colour: red' >>$config"
    expect_refusal "an upgrade with such a drop-in and a broken configuration" "this is not a known key" "$@"
    inside rm -r /etc/systemd/system/dynamic-sharding.service.d

    # Without a journal to read, too.
    inside mv /usr/bin/journalctl /srv/
    expect_refusal "an upgrade without journalctl" "this is not a known key" "$@"
    inside mv /srv/journalctl /usr/bin/

    inside cp -p /srv/environment "$environment"
    inside cp -p /srv/configuration "$config"
}

main_pid() { inside systemctl show --value --property MainPID dynamic-sharding.service; }
