#!/usr/bin/env bash
# Installs what the tests need, builds once, and runs them: the unit tests, the functional tests against real peers, a smoke pass of the
# functional tests against the NativeAOT file, and with --all the package that is made of that file. The last line is "N passed, N failed";
# the exit code is 0 when nothing failed.
#
# Tests with the trait Smoke run against that file, and with --all against the build for the runtime, too.
#
#   tests/run.sh          everything but the long fault tests (trait Category=Slow)
#   tests/run.sh --all    those, too, and packaging/test-deb.sh, which needs root
set -euo pipefail

case ${1:-} in
    '') filter='Category!=Slow&Category!=NativeAot&Smoke!=true' all= ;;
    --all) filter='Category!=NativeAot' all=1 ;;
    *) echo "usage: tests/run.sh [--all]" >&2; exit 2 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_CLI_UI_LANGUAGE=en
# A build server that stays behind would be something that this script left running.
export MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false
unset DYNAMIC_SHARDING_BINARY

readonly OUT=$PWD/artifacts/tests
readonly AOT=$PWD/artifacts/aot
# Whatever the tests start inherits this, so that what they leave behind is found by pid and by no name.
readonly RUN_ID=$$.$RANDOM.$RANDOM
passed=0
failed=0

finish() {
    echo
    # Once more at the end, where the log of a long run is read first.
    [[ ! -s $OUT/failed ]] || cat "$OUT/failed"
    echo "$passed passed, $failed failed"
    ((failed == 0 && passed > 0))
    exit
}

step() { echo; echo "== $*"; }

fail() {
    echo "FAILED: $*" | tee -a "$OUT/failed"
    failed=$((failed + 1))
}

# A step that is not a test project: counts as one.
check() {
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        fail "$name"
        return 1
    fi
}

# The result file knows what ran; a run that left none, ran nothing or skipped something has failed.
count() {
    local name=$1 file=$2 exit_code=$3 counters ok total
    counters=$(grep -o '<Counters [^>]*' "$file" 2>/dev/null || true)
    ok=$(sed -n 's/.* passed="\([0-9]*\)".*/\1/p' <<<"$counters")
    total=$(sed -n 's/.* total="\([0-9]*\)".*/\1/p' <<<"$counters")
    if [[ -z $ok || -z $total ]] || ((total == 0)); then
        fail "$name ran no tests (exit code $exit_code)"
        return
    fi
    passed=$((passed + ok))
    failed=$((failed + total - ok))
    if ((total == ok && exit_code != 0)); then
        fail "$name: every test passed, yet the exit code is $exit_code"
    elif ((total != ok)); then
        sed -n 's/.*<UnitTestResult .*testName="\([^"]*\)".* outcome="\(Failed\|NotExecuted\)".*/FAILED: '"$name"': \1 (\2)/p' "$file" >>"$OUT/failed"
    fi
}

run_tests() { # name, assembly, filter
    local name=$1 assembly=$2 only=$3 exit_code=0
    step "$name"
    rm -f "$OUT/$name.trx"
    DYNAMIC_SHARDING_TEST_RUN=$RUN_ID dotnet test "$assembly" ${only:+--filter "$only"} --results-directory "$OUT" \
        --logger "trx;LogFileName=$name.trx" --logger 'console;verbosity=minimal' </dev/null || exit_code=$?
    count "$name" "$OUT/$name.trx" "$exit_code"
}

# The pids that still carry this run's mark, and what they are.
left_behind() {
    local environ pid
    for environ in /proc/[0-9]*/environ; do
        pid=${environ#/proc/}
        pid=${pid%/environ}
        if grep -qsz "^DYNAMIC_SHARDING_TEST_RUN=$RUN_ID\$" "$environ"; then
            echo "$pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null || true)"
        fi
    done
}

nothing_left_behind() {
    local left
    # A process that was told to end may take a moment.
    for _ in 1 2 3 4 5; do
        left=$(left_behind)
        [[ -n $left ]] || return 0
        sleep 1
    done
    echo "still running:"
    echo "$left"
    cut -d' ' -f1 <<<"$left" | xargs -r kill -KILL 2>/dev/null || true
    return 1
}

publish_aot() {
    local rid
    case $(uname -m) in
        x86_64) rid=linux-x64 ;;
        aarch64) rid=linux-arm64 ;;
        *) echo "no NativeAOT runtime identifier for $(uname -m)"; return 1 ;;
    esac
    rm -rf "$AOT"
    dotnet publish src/DynamicSharding -c Release -r "$rid" -p:Version="$(packaging/version.sh)" -o "$AOT" -v minimal \
        </dev/null >"$OUT/publish.log" 2>&1 || { cat "$OUT/publish.log"; return 1; }
    if grep -qE 'warning (IL|[A-Z]+[0-9]+)' "$OUT/publish.log"; then
        grep -E 'warning' "$OUT/publish.log"
        return 1
    fi
    # One self-contained file: an assembly next to it would mean that it is not.
    [[ -x $AOT/dynamic-sharding ]] && ! compgen -G "$AOT/*.dll" >/dev/null
}

mkdir -p "$OUT"
rm -f "$OUT/failed"
step "peers"
check "tests/install-peers.sh" tests/install-peers.sh || finish

step "build"
dotnet build DynamicSharding.sln -c Release -v quiet </dev/null || { fail build; finish; }

run_tests unit tests/DynamicSharding.Tests/bin/Release/net10.0/DynamicSharding.Tests.dll "$filter"
run_tests functional tests/DynamicSharding.FunctionalTests/bin/Release/net10.0/DynamicSharding.FunctionalTests.dll "$filter"

step "NativeAOT publish"
if check "NativeAOT publish" publish_aot; then
    export DYNAMIC_SHARDING_BINARY=$AOT/dynamic-sharding
    run_tests smoke-aot tests/DynamicSharding.FunctionalTests/bin/Release/net10.0/DynamicSharding.FunctionalTests.dll 'Smoke=true|Category=NativeAot'
    if [[ $all ]]; then
        step "package"
        check "packaging/test-deb.sh" env DYNAMIC_SHARDING_TEST_RUN="$RUN_ID" packaging/test-deb.sh "$AOT/dynamic-sharding" || true
    fi
fi

step "nothing left behind"
check "nothing left behind" nothing_left_behind || true
finish
