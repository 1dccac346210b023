#!/usr/bin/env bash
# Builds the Debian package, a tar.gz for other systems, and SHA256SUMS over both.
#
#   packaging/build-deb.sh [BINARY]
#   ARCH=arm64 packaging/build-deb.sh [BINARY]      for another architecture
#
# arm64 needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user.
#
# BINARY is the NativeAOT file, artifacts/aot/dynamic-sharding by default, artifacts/aot-arm64/dynamic-sharding for arm64. It is published first when it is missing or does not have this commit
# and its version (packaging/version.sh). The result is in OUT (default: artifacts/packages) and reproducible byte for byte from the same commit
# and binary: every timestamp is the commit's. Needs dpkg-dev; no root.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly OUT=${OUT:-$PWD/artifacts/packages}
NATIVE=$(dpkg --print-architecture)
ARCH=${ARCH:-$NATIVE}
readonly NATIVE ARCH
if [[ $ARCH == "$NATIVE" ]]; then BINARY=${1:-artifacts/aot/dynamic-sharding}; else BINARY=${1:-artifacts/aot-$ARCH/dynamic-sharding}; fi
readonly BINARY
# The maintainer of a package that is built for others.
readonly MAINTAINER=${DEB_MAINTAINER:-The DynamicSharding engineers <dynamic-sharding@example.org>}

say() { echo "build-deb: $*" >&2; }
die() { say "$*"; exit 1; }

VERSION=$(packaging/version.sh)
REVISION=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
# Pre-releases must sort before the release: 1.0.0-rc.1 is 1.0.0~rc.1 for Debian.
readonly VERSION REVISION DEB_VERSION=${VERSION/-/\~}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022

publish() {
    local rid cross=()
    case $ARCH in
        amd64) rid=linux-x64 ;;
        arm64) rid=linux-arm64 ;;
        *) die "no NativeAOT runtime identifier for $ARCH" ;;
    esac
    if [[ $ARCH == arm64 && $NATIVE != arm64 ]]; then
        command -v aarch64-linux-gnu-gcc >/dev/null || die "aarch64-linux-gnu-gcc is missing: install gcc-aarch64-linux-gnu"
        # The compiler only recommends it. Without it, the linker fails after minutes.
        [[ $(aarch64-linux-gnu-gcc -print-file-name=crti.o) == */* ]] || die "the C library for arm64 is missing: install libc6-dev-arm64-cross"
        cross=(-p:CppCompilerAndLinker="$PWD/packaging/cross-cc.sh" -p:ObjCopyName=aarch64-linux-gnu-objcopy)
    fi
    say "publishing $VERSION for $rid"
    dotnet publish src/DynamicSharding -c Release -r "$rid" -p:Version="$VERSION" "${cross[@]}" -o "$(dirname "$BINARY")" -v quiet --nologo \
        -nodeReuse:false </dev/null >&2
}

# Runs the program, under qemu if it is for another machine.
run() {
    if [[ $ARCH == arm64 && $NATIVE != arm64 ]]; then qemu-aarch64 -L /usr/aarch64-linux-gnu "$BINARY" "$@"; else "$BINARY" "$@"; fi
}

is_current() { [[ -x $BINARY ]] && [[ $(run --version) == "dynamic-sharding, version $VERSION (revision $REVISION)" ]]; }

put() { # mode, source, target
    install -D -m "$1" "$2" "$3"
}

packed() { # source, target: compressed without a timestamp
    install -d "$(dirname "$2")"
    gzip -9n <"$1" >"$2"
    chmod 644 "$2"
}

changelog() {
    cat <<TEXT
dynamic-sharding ($DEB_VERSION) unstable; urgency=medium

  * Built from commit $REVISION.

 -- $MAINTAINER  $(date -uR -d "@$SOURCE_DATE_EPOCH")
TEXT
}

stage_package() { # root
    local root=$1 doc=$1/usr/share/doc/dynamic-sharding page
    put 755 "$BINARY" "$root/usr/bin/dynamic-sharding"
    put 644 packaging/deb/dynamic-sharding.yml "$root/etc/dynamic-sharding/dynamic-sharding.yml"
    put 644 packaging/environment "$root/usr/share/dynamic-sharding/environment"
    put 755 packaging/may-restart "$root/usr/share/dynamic-sharding/may-restart"
    put 644 config/systemd/dynamic-sharding.service "$root/lib/systemd/system/dynamic-sharding.service"
    put 644 config/systemd/dynamic-sharding.socket "$root/lib/systemd/system/dynamic-sharding.socket"
    put 644 packaging/completions/dynamic-sharding.bash "$root/usr/share/bash-completion/completions/dynamic-sharding"
    put 644 packaging/completions/_dynamic-sharding "$root/usr/share/zsh/vendor-completions/_dynamic-sharding"
    put 644 packaging/completions/dynamic-sharding.fish "$root/usr/share/fish/vendor_completions.d/dynamic-sharding.fish"
    put 644 packaging/deb/lintian-overrides "$root/usr/share/lintian/overrides/dynamic-sharding"
    for page in packaging/man/*.[0-9]; do packed "$page" "$root/usr/share/man/man${page##*.}/$(basename "$page").gz"; done
    packaging/stage-documents.sh package "$doc"
    changelog >"$WORK/changelog"
    packed "$WORK/changelog" "$doc/changelog.gz"
}

dependencies() { # root; linked libraries, and those that .NET loads by name for TLS
    local linked
    if [[ $ARCH == "$NATIVE" ]]; then
        mkdir -p "$WORK/shlibs/debian"
        echo "Source: dynamic-sharding" >"$WORK/shlibs/debian/control"
        linked=$(cd "$WORK/shlibs" && dpkg-shlibdeps -O -e"$1/usr/bin/dynamic-sharding" 2>"$WORK/shlibs.log") || { cat "$WORK/shlibs.log" >&2; return 1; }
        linked=${linked#shlibs:Depends=}
    else
        # The database has no packages of the other architecture to ask: the C library of the newest symbol, which is all that is linked.
        if readelf -d "$1/usr/bin/dynamic-sharding" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libm|libdl|librt|libpthread|ld-linux.*)\.so'; then
            say "links a library whose package is not known here"
            return 1
        fi
        linked="libc6 (>= $(objdump -T "$1/usr/bin/dynamic-sharding" | grep -oE 'GLIBC_[0-9.]+' | sed 's/GLIBC_//' | sort -V | tail -n 1))"
    fi
    echo "$linked, adduser, libssl3 | libssl3t64"
}

build_package() {
    local root=$WORK/package script
    stage_package "$root"
    mkdir "$root/DEBIAN"
    for script in postinst prerm postrm; do put 755 "packaging/deb/$script" "$root/DEBIAN/$script"; done
    (cd "$root" && find etc -type f -printf '/%p\n' | sort) >"$root/DEBIAN/conffiles"
    (cd "$root" && find usr lib -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
    {
        echo "Package: dynamic-sharding"
        echo "Version: $DEB_VERSION"
        echo "Architecture: $ARCH"
        echo "Maintainer: $MAINTAINER"
        echo "Installed-Size: $(du -k -s --apparent-size --exclude=DEBIAN "$root" | cut -f1)"
        echo "Depends: $(dependencies "$root")"
        cat packaging/deb/control
    } >"$root/DEBIAN/control"
    # Directory timestamps, too; dpkg-deb only clamps those later than the epoch.
    find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group --uniform-compression -Zxz --build "$root" "$OUT/dynamic-sharding_${DEB_VERSION}_$ARCH.deb" >&2
}

build_archive() {
    local name=dynamic-sharding-$VERSION-linux-$ARCH root page
    root=$WORK/$name
    put 755 "$BINARY" "$root/dynamic-sharding"
    packaging/stage-documents.sh archive "$root"
    for page in packaging/man/*.[0-9]; do put 644 "$page" "$root/man/man${page##*.}/$(basename "$page")"; done
    for page in packaging/completions/*; do put 644 "$page" "$root/completions/$(basename "$page")"; done
    put 644 packaging/sysusers.d/dynamic-sharding.conf "$root/config/sysusers.d/dynamic-sharding.conf"
    tar --create --directory="$WORK" --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" "$name" \
        | gzip -9n >"$OUT/$name.tar.gz"
}

command -v dpkg-shlibdeps >/dev/null || die "dpkg-shlibdeps is missing: install dpkg-dev, or run tests/install-peers.sh"
is_current || publish
is_current || die "$BINARY is not version $VERSION of $REVISION: $(run --version)"

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$OUT"
rm -f "$OUT"/dynamic-sharding[_-]*"_$ARCH.deb" "$OUT"/dynamic-sharding-*"-$ARCH.tar.gz" "$OUT/SHA256SUMS"
build_package
build_archive
(cd "$OUT" && sha256sum -- *.deb *.tar.gz >SHA256SUMS)
say "in $OUT:"
cat "$OUT/SHA256SUMS"
