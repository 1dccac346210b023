#!/usr/bin/env bash
# Builds an .rpm from the tree of a .deb, and checks it: digests, dependencies, a file for each of the .deb's, links, and the program.
#
#   packaging/build-rpm.sh DEB       dynamic-sharding_1.2.3_amd64.deb gives dynamic-sharding-1.2.3-1.x86_64.rpm beside it
#
# Needs rpm and cpio; no root. Reproducible like the .deb: its timestamps are the commit's. It is built and unpacked here; packaging/test-rpm.sh
# installs it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
DEB=$(readlink -f "$1")
VERSION=$(dpkg-deb -f "$DEB" Version)
readonly DEB VERSION OUT=${DEB%/*}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC

fail() { echo "build-rpm: $*" >&2; exit 1; }

case $(dpkg-deb -f "$DEB" Architecture) in
    amd64) MACHINE=x86_64 ;;
    arm64) MACHINE=aarch64 ;;
    *) fail "no machine of rpm for this architecture" ;;
esac
readonly MACHINE NAME=dynamic-sharding-$VERSION-1.$MACHINE.rpm

# Paths that differ from Debian's, and Debian's own files.
tree() {
    dpkg-deb -x "$DEB" "$WORK/tree"
    mkdir -p "$WORK/tree/usr/lib" "$WORK/tree/usr/share/zsh" "$WORK/tree/etc/default"
    mv "$WORK/tree/lib/systemd" "$WORK/tree/usr/lib/systemd"
    mv "$WORK/tree/usr/share/zsh/vendor-completions" "$WORK/tree/usr/share/zsh/site-functions"
    # What the .deb's script copies is a file of this package.
    mv "$WORK/tree/usr/share/dynamic-sharding/environment" "$WORK/tree/etc/default/dynamic-sharding"
    rm -r "$WORK/tree/usr/share/lintian" "$WORK/tree/lib" "$WORK/tree/usr/share/doc/dynamic-sharding/changelog.gz"
    find "$WORK/tree/usr/share/doc" -name '*.md' -exec sed -i 's#\](/lib/systemd/#](/usr/lib/systemd/#g' {} +
    find "$WORK/tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

build() {
    rpmbuild -bb --quiet --target "$MACHINE" --define "_topdir $WORK/rpm" --define "_rpmdir $WORK/out" --define "tree $WORK/tree" \
        --define "package_version $VERSION" --define "package_release 1" --define "_buildhost localhost" \
        --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" --define "_docdir_fmt %%{NAME}" \
        --define "__os_install_post %{nil}" packaging/rpm/dynamic-sharding.spec >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2; fail "rpmbuild"; }
    install -m 644 "$WORK/out/$MACHINE/$NAME" "$OUT/$NAME"
}

check() {
    local query=(rpm --dbpath "$WORK/db" -qp "$OUT/$NAME") program
    rpm --dbpath "$WORK/db" -K --nosignature "$OUT/$NAME" >/dev/null || fail "its digests"
    "${query[@]}" --requires | grep -q '^libc.so.6(GLIBC_' || fail "it does not require the C library"
    [[ $("${query[@]}" --queryformat '[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags} %{FILENAMES}\n]' | grep -E ' cn? ') == "\
-rw------- root:root cn /etc/default/dynamic-sharding
-rw-r----- root:dynamic-sharding cn /etc/dynamic-sharding/dynamic-sharding.yml" ]] || fail "its configuration files"
    mkdir "$WORK/unpacked"
    rpm2cpio "$OUT/$NAME" | (cd "$WORK/unpacked" && cpio -id --quiet)
    diff -r "$WORK/tree" "$WORK/unpacked" || fail "its files are not those of the .deb"
    packaging/check-links.py "$WORK/unpacked" >"$WORK/log" || { cat "$WORK/log" >&2; fail "its links"; }
    program=$WORK/unpacked/usr/bin/dynamic-sharding
    if [[ $MACHINE == $(uname -m) ]]; then
        "$program" check-config "$WORK/unpacked/etc/dynamic-sharding/dynamic-sharding.yml" >/dev/null 2>&1 || fail "the program"
    else
        # All that works without OpenSSL, which the cross compiler does not bring. packaging/test-arm64.sh has one, and runs the same file.
        "qemu-$MACHINE" -L "/usr/$MACHINE-linux-gnu" "$program" --version >/dev/null || fail "the program"
    fi
}

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
tree
build
check
echo "$OUT/$NAME"
