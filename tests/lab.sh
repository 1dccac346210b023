#!/usr/bin/env bash
# A complete setup on loopback for experiments: Consul, three Pushgateways, a Prometheus that discovers them through Consul, and two
# instances of dynamic-sharding.
#
#   tests/lab.sh up       builds if necessary and starts everything
#   tests/lab.sh status   health and addresses
#   tests/lab.sh down     stops everything by pid and removes its files
#
# Faults, while it is up:
#
#   tests/lab.sh kill 2   SIGKILL for Pushgateway 2, or for a process by its name in the status: kill consul
#   tests/lab.sh start 2  starts it again
#   tests/lab.sh add 4    one more Pushgateway, on 127.0.0.4, in the configuration of both instances, which reload it
#
# Installs, after saying so, only what it needs: Consul, Pushgateway, Prometheus, curl.
# All files are in LAB_DIR (default: a folder under XDG_RUNTIME_DIR or /tmp).
# DYNAMIC_SHARDING_BINARY selects another build, for example the NativeAOT binary.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DIR=${LAB_DIR:-${XDG_RUNTIME_DIR:-/tmp}/dynamic-sharding-lab-$UID}
BINARY=${DYNAMIC_SHARDING_BINARY:-$ROOT/src/DynamicSharding/bin/Release/net10.0/dynamic-sharding}
readonly ROOT DIR BINARY
# The Prometheus that install-peers.sh unpacks, which supports Consul, comes first.
PATH=/usr/local/lib/dynamic-sharding-tests:$PATH

readonly CONSUL=127.0.0.1:8500
readonly PROMETHEUS=127.0.0.1:9090
# With those that were added.
GATEWAYS='127.0.0.1:9091 127.0.0.2:9091 127.0.0.3:9091'
if [[ -f $DIR/gateways ]]; then GATEWAYS=$(cat "$DIR/gateways"); fi
# Data and admin listener of each instance. The documents use 9294 for forwarding.
readonly INSTANCES='127.0.0.1:9292/127.0.0.1:9293 127.0.0.1:9392/127.0.0.1:9393'
readonly NEEDED='consul prometheus prometheus-pushgateway curl'
# Consul's other ports: server RPC and gossip
readonly CONSUL_PORTS='127.0.0.1:8300 127.0.0.1:8301'

# Name and health URL of every process, in start order
members() {
    local gateway instance number=1
    echo "consul http://$CONSUL/v1/status/leader"
    for gateway in $GATEWAYS; do echo "pushgateway-${gateway%:*} http://$gateway/-/healthy"; done
    for instance in $INSTANCES; do
        echo "dynamic-sharding-$number http://${instance%/*}/-/ready"
        number=$((number + 1))
    done
    echo "prometheus http://$PROMETHEUS/-/ready"
}

alive() { # name
    local pid
    pid=$(cat "$DIR/$1.pid" 2>/dev/null) || return 1
    # The pid may have been reused: check the mark in its environment.
    grep -qsz "^DYNAMIC_SHARDING_LAB=$DIR\$" "/proc/$pid/environ"
}

healthy() { # url
    local body
    body=$(curl -fsS --noproxy '*' -m 2 "$1" 2>/dev/null) && [[ $body != '""' ]] # Consul's response without a leader
}

start() { # name, program, arguments
    local name=$1
    shift
    # A new session, so that Ctrl-C in the terminal does not stop the lab.
    DYNAMIC_SHARDING_LAB=$DIR setsid "$@" </dev/null >"$DIR/$name.log" 2>&1 &
    echo $! >"$DIR/$name.pid"
}

await() { # name, url
    local _
    for _ in $(seq 150); do
        if healthy "$2"; then return 0; fi
        kill -0 "$(cat "$DIR/$1.pid")" 2>/dev/null || break
        sleep 0.2
    done
    echo "lab: $1 does not become ready; the end of $DIR/$1.log:" >&2
    tail -n 20 "$DIR/$1.log" >&2
    return 1
}

refuse_taken_ports() { # address...
    local address taken=()
    for address in "$@"; do
        # Connects only; sends nothing.
        if (exec 3<>"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null; then taken+=("$address"); fi
    done
    if ((${#taken[@]})); then
        echo "lab: ports already in use: ${taken[*]}" >&2
        return 1
    fi
}

# The command of a process, run as its name says.
launch() { # name
    local gateway=${1#pushgateway-}:9091
    case $1 in
        consul) start consul consul agent -dev -node=lab -bind=127.0.0.1 -client=127.0.0.1 -dns-port=-1 -grpc-port=-1 -serf-wan-port=-1 ;;
        # Debian's build persists to one file under /var by default, so they would share their groups.
        pushgateway-*) start "$1" prometheus-pushgateway --web.listen-address="$gateway" --persistence.file= ;;
        dynamic-sharding-*) start "$1" "$BINARY" --config.file "$DIR/$1.yml" ;;
        prometheus)
            start prometheus "$(command -v prometheus)" --config.file="$DIR/prometheus.yml" --storage.tsdb.path="$DIR/prometheus" \
                --web.listen-address="$PROMETHEUS"
            ;;
    esac
}

url_of() { # name
    local name url
    while read -r name url; do
        if [[ $name == "$1" ]]; then echo "$url"; return; fi
    done < <(members)
    return 1
}

# 2 is the second Pushgateway, on 127.0.0.2.
named() {
    local name=${1:-}
    if [[ $name =~ ^[0-9]+$ ]]; then name=pushgateway-127.0.0.$name; fi
    if ! url_of "$name" >/dev/null; then
        echo "lab: there is no $name; tests/lab.sh status has the names" >&2
        return 2
    fi
    echo "$name"
}

write_config() {
    local instance number=1 gateway
    for instance in $INSTANCES; do
        {
            echo "http_listen_addr: ${instance%/*}"
            echo "admin_listen_addr: ${instance#*/}"
            echo "consul_server:"
            echo "  addr: $CONSUL"
            echo "  register_service_name: pushgateway"
            echo "pushgateway:"
            echo "  servers:"
            for gateway in $GATEWAYS; do echo "    - $gateway"; done
        } >"$DIR/dynamic-sharding-$number.yml"
        number=$((number + 1))
    done
    cat >"$DIR/prometheus.yml" <<YAML
global:
  scrape_interval: 5s
scrape_configs:
  - job_name: pushgateway
    honor_labels: true
    consul_sd_configs:
      - server: $CONSUL
        services: [pushgateway]
        refresh_interval: 5s
    relabel_configs:
      - source_labels: [__meta_consul_health]
        regex: passing
        action: keep
      - source_labels: [__address__]
        target_label: gateway
  - job_name: dynamic-sharding
    static_configs:
      - targets: [$(sed -E 's#[^ ]*/##g; s# #, #g' <<<"$INSTANCES")]
YAML
}

up() {
    local name url gateway missing
    while read -r name _; do
        if alive "$name"; then echo "lab: already running ($DIR); stop it with tests/lab.sh down" >&2; return 1; fi
    done < <(members)
    # shellcheck disable=SC2086 # words
    missing=$("$ROOT/tests/install-peers.sh" --missing $NEEDED | sort -u | tr '\n' ' ')
    if [[ -n $missing ]]; then
        echo "lab: installs with apt-get, as root: $missing" >&2
        # As the head of install-peers.sh says.
        if [[ " $missing" == *' consul '* || " $missing" == *' prometheus '* ]]; then
            echo "lab: adds Debian's bullseye suite to the sources of apt, pinned at 100, for what no other suite has" >&2
        fi
        if [[ " $missing" == *' prometheus '* ]]; then echo "lab: unpacks Prometheus under /usr/local/lib, beside an installed one" >&2; fi
        # shellcheck disable=SC2086
        "$ROOT/tests/install-peers.sh" $NEEDED
    fi
    # shellcheck disable=SC2086 # words
    refuse_taken_ports $CONSUL $CONSUL_PORTS $PROMETHEUS $GATEWAYS ${INSTANCES//\// }
    if [[ -z ${DYNAMIC_SHARDING_BINARY:-} ]]; then
        dotnet build "$ROOT/src/DynamicSharding" -c Release -v quiet --nologo -nodeReuse:false </dev/null
    fi

    mkdir -p "$DIR"
    chmod 700 "$DIR"
    write_config
    trap 'down >/dev/null' EXIT
    trap 'exit 130' INT TERM
    launch consul
    for gateway in $GATEWAYS; do launch "pushgateway-${gateway%:*}"; done
    await consul "http://$CONSUL/v1/status/leader"
    for name in dynamic-sharding-1 dynamic-sharding-2 prometheus; do launch "$name"; done
    while read -r name url; do await "$name" "$url"; done < <(members)
    trap - EXIT INT TERM
    status
    echo
    echo "a push:    echo 'lab_value 1' | curl -sSL --data-binary @- http://${INSTANCES%%/*}/metrics/job/lab/instance/hand"
    echo "its value: curl -sS 'http://$PROMETHEUS/api/v1/query?query=lab_value'"
    echo "a fault:   tests/lab.sh kill 2, then tests/lab.sh status; start 2; add 4"
    echo "stop:      tests/lab.sh down"
}

kill_one() { # number or name
    local name
    name=$(named "${1:-}")
    if ! alive "$name"; then echo "lab: $name does not run" >&2; return 1; fi
    kill -KILL "$(cat "$DIR/$name.pid")"
    echo "lab: $name killed; start it again with: tests/lab.sh start $1"
}

start_one() { # number or name
    local name address
    name=$(named "${1:-}")
    if [[ ! -d $DIR ]]; then echo "lab: not up; start it with tests/lab.sh up" >&2; return 1; fi
    if alive "$name"; then echo "lab: $name already runs" >&2; return 1; fi
    address=$(url_of "$name")
    address=${address#*://}
    refuse_taken_ports "${address%%/*}" || return
    launch "$name"
    await "$name" "$(url_of "$name")"
    echo "lab: $name started"
}

add_one() { # number
    local number=${1:-} gateway=127.0.0.${1:-}:9091 name
    if [[ ! $number =~ ^[0-9]+$ ]] || ((number < 1 || number > 254)); then echo "usage: tests/lab.sh add N, from 1 to 254" >&2; return 2; fi
    if [[ " $GATEWAYS " == *" $gateway "* ]]; then echo "lab: $gateway is one of the gateways" >&2; return 1; fi
    if ! alive dynamic-sharding-1; then echo "lab: not up; start it with tests/lab.sh up" >&2; return 1; fi
    refuse_taken_ports "$gateway" || return
    GATEWAYS+=" $gateway"
    launch "pushgateway-${gateway%:*}"
    await "pushgateway-${gateway%:*}" "http://$gateway/-/healthy"
    echo "$GATEWAYS" >"$DIR/gateways"
    write_config
    for name in dynamic-sharding-1 dynamic-sharding-2; do
        if alive "$name"; then kill -HUP "$(cat "$DIR/$name.pid")"; fi
    done
    echo "lab: $gateway added; it joins the ring after membership.admit_after, 5 s"
}

status() {
    local name url state failed=0 instance number=1
    while read -r name url; do
        state=down
        if alive "$name"; then state='up, not healthy'; fi
        if [[ $state != down ]] && healthy "$url"; then state=healthy; fi
        if [[ $state != healthy ]]; then failed=1; fi
        printf '%-24s %-16s %s\n' "$name" "$state" "$url"
    done < <(members)
    echo
    echo "Consul      http://$CONSUL/ui/"
    echo "Prometheus  http://$PROMETHEUS/targets"
    for instance in $INSTANCES; do
        echo "instance $number  http://${instance%/*}/metrics/job/...  (status: http://${instance#*/}/api/v1/status)"
        number=$((number + 1))
    done
    echo "logs        $DIR/*.log"
    return "$failed"
}

down() {
    local name names=() left
    while read -r name _; do names=("$name" "${names[@]}"); done < <(members)
    for name in "${names[@]}"; do
        if alive "$name"; then kill -TERM "$(cat "$DIR/$name.pid")"; fi
    done
    for _ in $(seq 150); do
        left=0
        for name in "${names[@]}"; do if alive "$name"; then left=1; fi; done
        if ((!left)); then break; fi
        sleep 0.1
    done
    for name in "${names[@]}"; do
        if alive "$name"; then
            echo "lab: $name did not stop within 15 s, killing it" >&2
            kill -KILL "$(cat "$DIR/$name.pid")"
        fi
    done
    # Only files of this script: LAB_DIR may contain others.
    if [[ -d $DIR ]]; then
        rm -rf "$DIR/prometheus"
        rm -f "$DIR"/{prometheus,dynamic-sharding-1,dynamic-sharding-2}.yml "$DIR/gateways"
        for name in "${names[@]}"; do rm -f "$DIR/$name".{log,pid}; done
        rmdir "$DIR" 2>/dev/null || true
    fi
    echo "lab: stopped"
}

case ${1:-} in
    up | status | down) "$1" ;;
    kill | start | add) "$1_one" "${2:-}" ;;
    *) echo "usage: tests/lab.sh up|status|down, or kill|start|add N" >&2; exit 2 ;;
esac
