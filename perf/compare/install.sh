# Sourced by run.sh and forward.sh: installs what they need from Debian.
#
#   install_missing COMMAND:PACKAGE...      the packages whose command is not on PATH

install_missing() {
    local tool missing=()
    for tool in "$@"; do command -v "${tool%%:*}" >/dev/null || missing+=("${tool#*:}"); done
    ((${#missing[@]})) || return 0

    # No package may start a service of its own: a script starts what it measures, on ports of its own. In a subshell, which removes the file
    # whatever happens.
    (
        policy=/usr/sbin/policy-rc.d
        [[ -e $policy ]] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; }
        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -q --no-install-recommends "${missing[@]}"
    ) >&2
}
