#!/usr/bin/env bash
# A machine for unit files and packages: systemd as process 1 of its own namespaces, on a copy-on-write view of this machine's root. Nothing
# that happens in it stays, and it shares only the network and FOLDER with the outside.
#
#   tests/systemd/machine.sh FOLDER      boots, prints "booted", runs until it is terminated
#
# FOLDER/files is laid over the root first. No unit of this machine starts: the system units are those in FOLDER/files/usr/lib/systemd/system
# and the few targets below. Run a command in it with
#
#   nsenter --target $(cat FOLDER/pid) --mount --pid --ipc --uts --cgroup --root --wd -- systemctl start ...
#
set -euo pipefail

SELF=$(readlink -f "${BASH_SOURCE[0]}")
ROOT=$(cd "$(dirname "$SELF")/../.." && pwd)
FOLDER=$(readlink -f "$1")
readonly SELF ROOT FOLDER
readonly SLICE=dynamic-sharding-test-$$

# Inside the namespaces: the file systems, then systemd.
boot() {
    local new=$FOLDER/root folder
    mount --make-rprivate /
    mkdir -p "$new"
    mount -t tmpfs -o mode=755 tmpfs "$new"
    mkdir "$new/upper" "$new/work" "$new/root"
    mount -t overlay -o "lowerdir=/,upperdir=$new/upper,workdir=$new/work" overlay "$new/root"
    new=$new/root
    mount -t proc proc "$new/proc"
    mount --rbind /sys "$new/sys"
    mount --rbind /dev "$new/dev"
    mount -t tmpfs -o mode=755 tmpfs "$new/run"
    mkdir "$new/run/lock"
    mount -t tmpfs -o mode=1777 tmpfs "$new/tmp"
    # Only this test's units: everything else of the machine is out of reach.
    mount -t tmpfs tmpfs "$new/etc/systemd"
    mkdir "$new/etc/systemd/system"
    mount -t tmpfs tmpfs "$new/lib/systemd/system"
    if [[ -d $new/usr/lib/systemd/system-generators ]]; then mount -t tmpfs tmpfs "$new/usr/lib/systemd/system-generators"; fi
    for folder in basic sysinit sockets network-online multi-user; do
        printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$folder" >"$new/lib/systemd/system/$folder.target"
    done
    printf '[Unit]\nDefaultDependencies=no\n[Install]\n' >"$new/lib/systemd/system/shutdown.target"
    cp -r "$FOLDER/files/." "$new/"
    for folder in "$ROOT" "$FOLDER"; do
        mkdir -p "$new$folder"
        mount --bind "$folder" "$new$folder"
    done
    umount -l "$new/sys/fs/cgroup"
    mount -t cgroup2 none "$new/sys/fs/cgroup"
    # Not chroot: a process in a changed root may not create a user namespace (PrivateUsers=).
    mkdir "$new/run/outside"
    cd "$new"
    pivot_root . run/outside
    umount -l /run/outside
    rmdir /run/outside
    exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin "DOTNET_ROOT=${DOTNET_ROOT:-}" \
        /usr/lib/systemd/systemd --system --unit=multi-user.target --log-target=console --log-level=info --show-status=0 --crash-reboot=no
}

case ${2:-} in
    boot) boot ;;
    # Mounts of its own, so that even a kill leaves none.
    '') exec unshare --mount bash "$SELF" "$FOLDER" supervise ;;
esac

# A group of its own: systemd takes what it finds at the root of its view.
GROUPS_AT=$(mktemp -d)
mount -t cgroup2 none "$GROUPS_AT"
mkdir "$GROUPS_AT/$SLICE"

end() {
    trap - EXIT
    [[ -z ${machine:-} ]] || { kill -KILL "$machine" && wait "$machine"; } 2>/dev/null || true
    for _ in $(seq 50); do
        find "$GROUPS_AT/$SLICE" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.1
    done
    umount "$GROUPS_AT"
    rmdir "$GROUPS_AT"
}
trap end EXIT
trap 'exit 143' TERM INT

(
    echo "$BASHPID" >"$GROUPS_AT/$SLICE/cgroup.procs"
    exec unshare --pid --fork --kill-child --mount --cgroup --ipc --uts bash "$SELF" "$FOLDER" boot >"$FOLDER/manager.log" 2>&1
) &
machine=$!

for _ in $(seq 100); do
    pid=$(cat "/proc/$machine/task/$machine/children" 2>/dev/null | cut -d' ' -f1)
    if [[ -n $pid ]]; then
        echo "$pid" >"$FOLDER/pid"
        state=$(nsenter --target "$pid" --mount --pid --ipc --uts --cgroup --root --wd -- systemctl is-system-running 2>/dev/null || true)
        if [[ $state == running || $state == degraded ]]; then
            echo booted
            wait "$machine"
            exit
        fi
    fi
    kill -0 "$machine" 2>/dev/null || break
    sleep 0.1
done
echo "machine: systemd does not start:" >&2
cat "$FOLDER/manager.log" >&2
exit 1
