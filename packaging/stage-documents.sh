#!/usr/bin/env bash
# Copies everything that a person reads, and the examples, as the Debian package or the archive has it.
#
#   packaging/stage-documents.sh package|archive FOLDER
#
# The archive has the paths of the checkout. The package is flat, as /usr/share/doc is: the links are changed to match.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly KIND=$1 FOLDER=$2

put() { # mode, source, target
    install -D -m "$1" "$2" "$3"
}

examples() { # folder
    local file
    for file in dynamic-sharding.yml local.yml sysctl/60-dynamic-sharding.conf prometheus/{prometheus,alerts}.yml grafana/dynamic-sharding.json; do
        put 644 "config/$file" "$1/$file"
    done
}

# One file: the libraries, then the runtime with what it contains.
notices() { # file
    local part
    {
        cat packaging/notices/libraries.txt
        for part in dotnet-runtime:'.NET runtime' aspnetcore:'ASP.NET Core'; do
            printf '\n%s\n%s\n\n' "$(printf '%079d' 0 | tr 0 -)" "${part#*:}"
            cat "packaging/notices/${part%%:*}.txt"
        done
    } >"$1"
    chmod 644 "$1"
}

documents() { # folder for the pages, folder for the README
    local page
    for page in docs/*.md docs/decisions/*.md docs/images/*; do put 644 "$page" "$1/${page#docs/}"; done
    for page in README.md README.zh-CN.md CHANGELOG.md CONTRIBUTING.md SECURITY.md; do put 644 "$page" "$2/$page"; done
    notices "$2/THIRD-PARTY-NOTICES.txt"
}

copyright() {
    cat <<TEXT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: dynamic-sharding
Comment: The program contains the .NET runtime, ASP.NET Core and the libraries that Directory.Packages.props of its source names. Their
 copyrights and licenses are in THIRD-PARTY-NOTICES.txt beside this file.

Files: *
Copyright: $(sed -n 's/^Copyright (c) //p' LICENSE)
License: Expat
$(sed -n '/^Permission/,$p' LICENSE | sed 's/^$/./; s/^/ /')
TEXT
}

case $KIND in
    archive)
        documents "$FOLDER/docs" "$FOLDER"
        examples "$FOLDER/config"
        put 644 LICENSE "$FOLDER/LICENSE"
        for unit in service socket; do put 644 "config/systemd/dynamic-sharding.$unit" "$FOLDER/config/systemd/dynamic-sharding.$unit"; done
        ;;
    package)
        documents "$FOLDER" "$FOLDER"
        examples "$FOLDER/examples"
        copyright >"$FOLDER/copyright"
        chmod 644 "$FOLDER/copyright"
        find "$FOLDER" -maxdepth 1 -name '*.md' -exec sed -i -E \
            's#\]\((\.\./)?config/systemd(/[^)]+)\)#](/lib/systemd/system\2)#g
             s#\]\((\.\./)?config/systemd\)#](/lib/systemd/system)#g
             s#\]\((\.\./)?config/#](examples/#g
             s#\]\((\.\./|docs/)#](#g
             s#\]\(LICENSE\)#](copyright)#g' {} +
        find "$FOLDER/decisions" -name '*.md' -exec sed -i -E 's#\]\(\.\./\.\./config/#](../examples/#g' {} +
        ;;
    *) echo "usage: packaging/stage-documents.sh package|archive FOLDER" >&2; exit 2 ;;
esac
