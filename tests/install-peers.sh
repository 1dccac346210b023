#!/usr/bin/env bash
# Installs what the tests need besides the .NET SDK: the real Consul, Pushgateway and Prometheus, Chromium, and a linker
# for NativeAOT.
#
#   tests/install-peers.sh                      everything
#   tests/install-peers.sh [--missing] NAME...  only these of the first column below; --missing prints the packages and installs nothing
#
# Idempotent; silent and fast if everything is installed. Starts no service, and disables new ones, so that port 9091 stays free.
#
# Consul is not in Debian 12; Debian's bullseye suite has 1.8.7. That suite is added next to the machine's own Debian source,
# from the same mirror, pinned at 100, so that no package of Debian 12 comes from it. CONSUL_SUITE_MIRROR selects another mirror for it
# if the machine's own no longer has bullseye.
# Debian 12 builds its Prometheus without consul_sd_configs (changelog: until the Consul package is back); bullseye's build has them.
# That build is unpacked into a separate folder and does not replace an installed Prometheus. It is older than http_sd_configs, so the machine's
# own version is unpacked there too, as prometheus-http.
# Debian 12's Pushgateway does not know --push.enable-utf8-names; that of trixie is unpacked there as pushgateway-utf8.
set -euo pipefail

# what must exist | Debian package | why
readonly PEERS='
consul|consul|discovery and registration against a real agent
prometheus|prometheus|finds the gateways through Consul and scrapes what was pushed
promtool|prometheus|judges the metrics page; comes with prometheus
prometheus-http|prometheus-http|finds the gateways through /api/v1/sd
promtool-http|prometheus-http|judges config/prometheus; comes with it
chromium|chromium|reads the status page as an operator does
prometheus-pushgateway|prometheus-pushgateway|the gateways that redirects lead to
pushgateway-utf8|pushgateway-utf8|a gateway whose groups have names that are not classic ones
dnsmasq|dnsmasq-base|gateways from DNS: a name server whose records change
haproxy|haproxy|the PROXY protocol, as this proxy sends it
nginx|nginx-light|the same
/usr/lib/nginx/modules/ngx_stream_module.so|libnginx-mod-stream|its TCP proxy
curl|curl|lab.sh asks for health with it
python3|python3|tests/http/runner.py sends the raw HTTP cases
systemd-socket-activate|systemd|socket activation, and the check of the units (systemd-analyze); brings libseccomp for tests/sandbox.py
sysctl|procps|the sysctl drop-in is tried in a network namespace
/usr/lib/python3/dist-packages/requests|python3-requests|pushes 64 MiB through the redirect; it writes its body before it reads
javac|openjdk-17-jdk-headless|the same with HttpURLConnection, from source
/usr/lib/python3/dist-packages/prometheus_client|python3-prometheus-client|tests/clients: the official Python client
go|golang-go|tests/clients: builds the program of the Go client
/usr/share/gocode/src/github.com/prometheus/client_golang|golang-github-prometheus-client-golang-dev|tests/clients: the Go client
g++|g++|tests/clients: builds the program of prometheus-cpp
/usr/include/prometheus/gateway.h|prometheus-cpp-dev|tests/clients: prometheus-cpp
node|nodejs|tests/clients: runs prom-client
npm|npm|tests/clients: fetches prom-client
prlimit|util-linux|a server runs out of descriptors
setpriv|util-linux|a child process dies with the test host (PR_SET_PDEATHSIG)
zsh|zsh|presses the tab key: completion
fish|fish|the same
gcc|gcc|the NativeAOT publish links with clang or gcc
dpkg-shlibdeps|dpkg-dev|packaging/build-deb.sh asks it for the dependencies
lintian|lintian|judges the package
rpmbuild|rpm|packaging/build-rpm.sh
cpio|cpio|the same, to unpack what it has built
adduser|adduser|the package makes its user with it
aarch64-linux-gnu-gcc|gcc-aarch64-linux-gnu|packaging/test-arm64.sh: cross-compiles
/usr/aarch64-linux-gnu/lib/crti.o|libc6-dev-arm64-cross|the same: the C library
qemu-aarch64|qemu-user|the same: runs the program
ip|iproute2|the installed package runs in a network namespace of its own
/usr/include/zlib.h|zlib1g-dev|the NativeAOT publish links against it; brings libc6-dev
'
readonly MARK=dynamic-sharding-tests
# shellcheck disable=SC1091
CODENAME=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
readonly CODENAME
readonly SOURCES=/etc/apt/sources.list.d/$MARK
readonly PREFERENCES=/etc/apt/preferences.d/$MARK
readonly FOLDER=/usr/local/lib/$MARK
readonly POLICY=/usr/sbin/policy-rc.d
readonly POLICY_BACKUP=$POLICY.before-$MARK
readonly POLICY_MARK="# written by $MARK for the duration of an installation"

say() { echo "install-peers: $*" >&2; }
die() { say "$*"; exit 1; }

# Services install into sbin on some machines, and a plain user's PATH may lack it.
PATH=$PATH:/usr/sbin:/sbin

finds_gateways_in_consul() {
    local program
    program=$(command -v "$1") && grep -qa consul_sd "$program"
}

missing_packages() {
    local what package
    while IFS='|' read -r what package _; do
        [[ -n $what ]] || continue
        ((${#WANTED[@]} == 0)) || [[ " ${WANTED[*]} " == *" $what "* ]] || continue
        case $what in
            # A machine of that kind needs no cross compiler.
            *aarch64*) [[ $(uname -m) == aarch64 || -e $what ]] || command -v "$what" ;;
            /*) [[ -e $what ]] ;;
            gcc) command -v clang || command -v gcc ;;
            prometheus-http | promtool-http | pushgateway-utf8) [[ -x $FOLDER/$what ]] ;;
            promtool) [[ -x $FOLDER/promtool ]] || command -v promtool ;;
            prometheus) finds_gateways_in_consul "$FOLDER/prometheus" || finds_gateways_in_consul prometheus ;;
            *) command -v "$what" ;;
        esac >/dev/null || echo "$package"
    done <<<"$PEERS"
}

# Show apt's output only if it fails.
quietly() {
    "$@" >"$LOG" 2>&1 </dev/null || { cat "$LOG" >&2; return 1; }
}

apt() { # DPkg::Lock covers the package database; the lock on the lists has no such option, hence the retries in update.
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 "$@"
}

update() {
    local attempt
    for attempt in 1 2 3 4 5 6; do
        if apt update "$@" >"$LOG" 2>&1 </dev/null && ! grep -qE '^(Err:|E:)|Some index files failed' "$LOG"; then return 0; fi
        grep -qE 'Could not get lock|Unable to lock' "$LOG" || break
        sleep 10
    done
    return 1
}

has_candidate() {
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'
}

# Prints the machine's own Debian source with the suite replaced by $1, and perhaps the mirror by $2; the first line is its format.
suite_source() {
    local suites file
    suites="$CODENAME|stable|testing|unstable|sid"
    for file in /etc/apt/sources.list.d/*.sources; do
        [[ -e $file && $file != "$SOURCES".* ]] || continue
        grep -v '^#' "$file" | awk -v RS= -v suites="$suites" -v suite="$1" -v mirror="$2" '
            function field(name,   i) {
                for (i = 1; i <= count; i++)
                    if (tolower(lines[i]) ~ "^" tolower(name) ":") return substr(lines[i], length(name) + 2)
                return ""
            }
            {
                count = split($0, lines, "\n")
                if (tolower(field("Enabled")) ~ /no/ || field("Types") !~ /(^|[ \t])deb([ \t]|$)/) next
                if (field("Suites") !~ "(^|[ \t])(" suites ")([ \t]|$)" || field("Components") !~ /main/) next
                if (field("URIs") ~ /security/) next
                print "sources"
                for (i = 1; i <= count; i++) {
                    line = tolower(lines[i])
                    if (line ~ /^[ \t]/) { if (!replaced) print lines[i]; continue }
                    replaced = 1
                    if (line ~ /^types:/) print "Types: deb"
                    else if (line ~ /^suites:/) print "Suites: " suite
                    else if (line ~ /^components:/) print "Components: main"
                    else if (line ~ /^uris:/ && mirror != "") print "URIs: " mirror
                    else { replaced = 0; print lines[i] }
                }
                found = 1; exit
            }
            END { exit !found }' && return 0
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [[ -e $file && $file != "$SOURCES".* ]] || continue
        awk -v suites="$suites" -v suite="$1" -v mirror="$2" '
            /^[ \t]*deb[ \t]/ {
                options = match($0, /\[[^]]*\]/) ? substr($0, RSTART, RLENGTH) " " : ""
                sub(/^[ \t]*deb[ \t]+(\[[^]]*\][ \t]*)?/, "")
                if ($2 !~ "^(" suites ")$" || $0 !~ /[ \t]main([ \t]|$)/) next
                print "list"
                print "deb " options (mirror != "" ? mirror : $1) " " suite " main"
                found = 1; exit
            }
            END { exit !found }' "$file" && return 0
    done
    return 1
}

write_bullseye() { # $1: "expired" when the Release file is too old for apt, else ""
    local text format
    text=$(suite_source bullseye "${CONSUL_SUITE_MIRROR:-}") || die "no Debian source with the suite $CODENAME found under /etc/apt; put a consul on PATH yourself"
    format=${text%%$'\n'*}
    text=${text#*$'\n'}
    if [[ $1 == expired && $format == sources ]]; then
        text+=$'\nCheck-Valid-Until: no'
    elif [[ $1 == expired ]]; then
        text=$(sed -E 's/^deb \[/deb [check-valid-until=no /; t; s/^deb /deb [check-valid-until=no] /' <<<"$text")
    fi
    printf 'Package: *\nPin: release n=bullseye\nPin-Priority: 100\n' >"$PREFERENCES"
    printf '# For the tests of dynamic-sharding only: consul 1.8.7.\n%s\n' "$text" >"$SOURCES.$format"
    chmod 644 "$PREFERENCES" "$SOURCES.$format"
    BULLSEYE_FILE=$SOURCES.$format
}

update_bullseye() { # Only this source, so that other broken sources do not matter.
    update -o Dir::Etc::sourcelist="$BULLSEYE_FILE" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
}

add_bullseye() {
    if [[ $CODENAME == bullseye ]]; then return; fi
    # The pin must exist before the source is used.
    write_bullseye ''
    update_bullseye && return
    if grep -qiE 'is expired|not valid (any more|yet)|Valid-Until' "$LOG"; then
        write_bullseye expired
        update_bullseye && return
    fi
    cat "$LOG" >&2
    rm -f "$BULLSEYE_FILE" "$PREFERENCES"
    die "the machine's Debian mirror does not give the bullseye suite; set CONSUL_SUITE_MIRROR, or put a consul on PATH yourself"
}

restore_policy() {
    if [[ -e $POLICY_BACKUP ]]; then
        mv -f "$POLICY_BACKUP" "$POLICY"
    elif [[ -e $POLICY ]] && grep -qF "$POLICY_MARK" "$POLICY"; then
        rm -f "$POLICY"
    fi
}

forbid_service_starts() {
    restore_policy # a killed run may have left its policy
    [[ ! -e $POLICY ]] || mv "$POLICY" "$POLICY_BACKUP"
    printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
    chmod 755 "$POLICY"
}

# The package as apt names it, and what follows the programs' names.
unpack_prometheus() {
    local folder program
    folder=$(mktemp -d)
    (
        cd "$folder"
        quietly apt -o APT::Sandbox::User=root download "$1"
        dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/prometheus ./usr/bin/promtool
        for program in prometheus promtool; do install -D "usr/bin/$program" "$FOLDER/$program$2"; done
    ) || die "could not unpack $1"
    rm -rf "$folder"
}

# With lists of its own: the machine's apt does not see the newer suite.
unpack_pushgateway() {
    local folder text
    text=$(suite_source trixie "") || die "no Debian source with the suite $CODENAME found under /etc/apt; put a pushgateway-utf8 into $FOLDER yourself"
    folder=$(mktemp -d)
    mkdir -p "$folder"/{parts,lists/partial,cache/archives/partial}
    printf '%s\n' "${text#*$'\n'}" >"$folder/parts/trixie.${text%%$'\n'*}"
    local options=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$folder/parts" -o Dir::Etc::preferencesparts=/dev/null
        -o Dir::State::lists="$folder/lists" -o Dir::Cache="$folder/cache" -o APT::Sandbox::User=root)
    (
        cd "$folder"
        update "${options[@]}" || { cat "$LOG" >&2; exit 1; }
        quietly apt "${options[@]}" download prometheus-pushgateway/trixie
        dpkg-deb --fsys-tarfile prometheus-pushgateway_*.deb | tar -x ./usr/bin/prometheus-pushgateway
        install -D usr/bin/prometheus-pushgateway "$FOLDER/pushgateway-utf8"
    ) || die "could not unpack trixie's prometheus-pushgateway"
    rm -rf "$folder"
}

install_packages() {
    local package
    for package in "$@"; do
        [[ $package == consul ]] || has_candidate "$package" || { update || cat "$LOG" >&2; break; }
    done

    forbid_service_starts
    if ! apt install -y --no-install-recommends "$@" >"$LOG" 2>&1 </dev/null; then
        # Outdated lists name files that are gone: update once and retry.
        update || true
        quietly apt install -y --no-install-recommends "$@" || die "apt-get could not install $*"
    fi
    restore_policy

    # New units are enabled for the next boot; disable only those that this run installed.
    for package in "$@"; do
        if [[ $package =~ ^(consul|prometheus-pushgateway|haproxy)$ || $package == nginx-light ]] && command -v systemctl >/dev/null; then
            systemctl disable "$package.service" >/dev/null 2>&1 || true
        fi
    done
}

install_missing() {
    local package packages=() unpack=0 unpack_http=0 unpack_utf8=0
    say "installing $*"
    for package in "$@"; do
        case $package in
            prometheus) unpack=1 ;;
            prometheus-http) unpack_http=1 ;;
            pushgateway-utf8) unpack_utf8=1 ;;
            *) packages+=("$package") ;;
        esac
    done
    if [[ " $* " == *' consul '* ]] && ! has_candidate consul || ((unpack)); then add_bullseye; fi
    if ((${#packages[@]})); then install_packages "${packages[@]}"; fi
    if ((unpack)); then unpack_prometheus prometheus/bullseye ""; fi
    if ((unpack_http)); then
        has_candidate prometheus || update || cat "$LOG" >&2
        unpack_prometheus prometheus -http
    fi
    if ((unpack_utf8)); then unpack_pushgateway; fi
}

main() {
    local missing
    WANTED=("$@")
    if [[ ${1:-} == --missing ]]; then
        WANTED=("${@:2}")
        missing_packages
        return
    fi
    mapfile -t missing < <(missing_packages)
    ((${#missing[@]})) || return 0

    command -v apt-get >/dev/null || die "not a Debian: put these on PATH yourself: ${missing[*]}"
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "run as root: $(realpath "$0")   (missing: ${missing[*]})"
        exec sudo --preserve-env=CONSUL_SUITE_MIRROR "$(realpath "$0")" "$@"
    fi

    exec 9>/var/lock/$MARK.lock
    flock 9
    mapfile -t missing < <(missing_packages) # another run may have installed them meanwhile
    ((${#missing[@]})) || return 0

    LOG=$(mktemp)
    trap 'restore_policy; rm -f "$LOG"' EXIT
    trap 'exit 130' INT TERM HUP
    install_missing "${missing[@]}"

    mapfile -t missing < <(missing_packages)
    ((${#missing[@]} == 0)) || die "still missing after the installation: ${missing[*]}"
}

main "$@"
