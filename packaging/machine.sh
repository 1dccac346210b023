# Sourced by test-deb.sh and test-rpm.sh: systemd as process 1 of namespaces of its own (tests/systemd/machine.sh), for a package's own units
# and scripts. Needs WORK, a folder, and fail.

MACHINE=''

inside() { nsenter --target "$(cat "$WORK/machine/pid")" --mount --pid --ipc --uts --cgroup --net --root --wd -- env -u ARGS "$@"; }

# The package becomes /srv/$2 in it.
boot_machine() { # package, name
    mkdir -p "$WORK/machine/files/srv" "$WORK/machine/files/etc/apt"
    cp "$1" "$WORK/machine/files/srv/$2"
    unshare --net tests/systemd/machine.sh "$WORK/machine" >"$WORK/machine.log" 2>&1 &
    MACHINE=$!
    for _ in $(seq 300); do
        grep -qs '^booted$' "$WORK/machine.log" && break
        kill -0 "$MACHINE" 2>/dev/null || break
        sleep 0.2
    done
    grep -q '^booted$' "$WORK/machine.log" || { cat "$WORK/machine.log" >&2; fail "the machine does not boot"; }
    inside ip link set lo up
}

end_machine() {
    [[ -z $MACHINE ]] || { kill "$MACHINE" && wait "$MACHINE"; } 2>/dev/null || true
    MACHINE=''
}

main_pid() { inside systemctl show --value --property MainPID dynamic-sharding.service; }
