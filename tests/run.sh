#!/usr/bin/env bash
# Installs the test dependencies, builds once, publishes the NativeAOT binary, and runs the unit tests and, with that binary, the functional
# tests with real peers. The last line is "N passed, N failed"; the exit code is 0 if nothing failed.
#
#   tests/run.sh          all tests except the long ones (trait Category=Slow)
#   tests/run.sh --all    also the long ones, the tests with the trait Smoke once more with the build for the runtime, and
#                         packaging/test-deb.sh and packaging/test-arm64.sh, which need root
set -euo pipefail

case ${1:-} in
    '') filter='Category!=Slow' all= ;;
    --all) filter='' all=1 ;;
    *) echo "usage: tests/run.sh [--all]" >&2; exit 2 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_CLI_UI_LANGUAGE=en
unset DYNAMIC_SHARDING_BINARY
[[ -z $all ]] || export FUZZ_SECONDS=${FUZZ_SECONDS:-20}

readonly OUT=$PWD/artifacts/tests
readonly AOT=$PWD/artifacts/aot
readonly UNIT=tests/DynamicSharding.Tests/bin/Release/net10.0/DynamicSharding.Tests.dll
readonly FUNCTIONAL=tests/DynamicSharding.FunctionalTests/bin/Release/net10.0/DynamicSharding.FunctionalTests.dll
# Every process that the tests start inherits this mark, so leftovers are found by pid, not by name.
readonly RUN_ID=$$.$RANDOM.$RANDOM
# No build server may outlive this script: the compilers share one of their own, which it stops.
export MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=true SharedCompilationId=$RUN_ID
case $(uname -m) in
    x86_64) RID=linux-x64 ;;
    aarch64) RID=linux-arm64 ;;
    *) echo "no NativeAOT runtime identifier for $(uname -m)" >&2; exit 2 ;;
esac
readonly RID
passed=0
failed=0

finish() {
    stop_compiler
    echo
    # Repeat the failures at the end of a long log.
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

# A step outside the test projects; counts as one test.
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

# A run without a result file, without tests or with skipped tests has failed.
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
        fail "$name: all tests passed, but the exit code is $exit_code"
    elif ((total != ok)); then
        sed -n 's/.*<UnitTestResult .*testName="\([^"]*\)".* outcome="\(Failed\|NotExecuted\)".*/FAILED: '"$name"': \1 (\2)/p' "$file" >>"$OUT/failed"
    fi
}

run_tests() { # name, filter, assembly
    local name=$1 only=$2 assembly=$3
    rm -f "$OUT/$name.trx"
    DYNAMIC_SHARDING_TEST_RUN=$RUN_ID dotnet test "$assembly" ${only:+--filter "$only"} --results-directory "$OUT" \
        --logger "trx;LogFileName=$name.trx" --logger 'console;verbosity=minimal' </dev/null
}

# Pids and command lines of processes with this run's mark.
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

# Builds after this call, those of the packages, do without a compiler server.
stop_compiler() {
    local left
    export UseSharedCompilation=false
    left=$(left_behind)
    sed -n 's/ .*VBCSCompiler.*//p' <<<"$left" | xargs -r kill 2>/dev/null || true
}

# On Ctrl+C and errors as well: neither the compiler in the background nor a server of a test outlives this script.
stop_all() {
    left_behind | cut -d' ' -f1 | xargs -r kill -KILL 2>/dev/null || true
}

nothing_left_behind() {
    local left
    # A terminating process may take a moment.
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
    rm -rf "$AOT"
    DYNAMIC_SHARDING_TEST_RUN=$RUN_ID dotnet publish src/DynamicSharding -c Release -r "$RID" --no-restore -p:Version="$(packaging/version.sh)" -o "$AOT" -v minimal \
        </dev/null >"$OUT/publish.log" 2>&1 || { cat "$OUT/publish.log"; return 1; }
    if grep -qE 'warning (IL|[A-Z]+[0-9]+)' "$OUT/publish.log"; then
        grep -E 'warning' "$OUT/publish.log"
        return 1
    fi
    # The binary is self-contained only if there is no assembly next to it.
    [[ -x $AOT/dynamic-sharding ]] && ! compgen -G "$AOT/*.dll" >/dev/null
}

mkdir -p "$OUT"
rm -f "$OUT/failed"
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
step "peers"
check "tests/install-peers.sh" tests/install-peers.sh || finish

step "build"
DYNAMIC_SHARDING_TEST_RUN=$RUN_ID dotnet build DynamicSharding.sln -c Release -v quiet </dev/null || { fail build; finish; }

# The compiler has one processor busy for most of the time, and the unit tests wait for timers at times. The restore comes first: it writes files
# that a test reads.
step "NativeAOT publish, beside the unit tests"
DYNAMIC_SHARDING_TEST_RUN=$RUN_ID dotnet restore src/DynamicSharding -r "$RID" -v quiet </dev/null || { fail "restore for NativeAOT"; finish; }
publish_aot >"$OUT/publish.out" 2>&1 &
publish=$!

step unit
exit_code=0
run_tests unit "$filter" "$UNIT" || exit_code=$?
count unit "$OUT/unit.trx" $exit_code

check "NativeAOT publish" wait "$publish" || { cat "$OUT/publish.out"; finish; }
stop_compiler

# Not beside the unit tests, although these tests wait most of the time: probes that get no processor time give false verdicts.
step functional
exit_code=0
DYNAMIC_SHARDING_BINARY=$AOT/dynamic-sharding run_tests functional "$filter" "$FUNCTIONAL" || exit_code=$?
count functional "$OUT/functional.trx" $exit_code

if [[ $all ]]; then
    step "smoke, with the build for the runtime"
    exit_code=0
    run_tests smoke 'Smoke=true&Category!=NativeAot' "$FUNCTIONAL" || exit_code=$?
    count smoke "$OUT/smoke.trx" $exit_code

    step "package"
    check "packaging/test-deb.sh" env DYNAMIC_SHARDING_TEST_RUN="$RUN_ID" packaging/test-deb.sh "$AOT/dynamic-sharding" || true

    # On a machine of that kind, the step before was the arm64 package.
    if [[ $(uname -m) != aarch64 ]]; then
        step "package, arm64"
        check "packaging/test-arm64.sh" env DYNAMIC_SHARDING_TEST_RUN="$RUN_ID" packaging/test-arm64.sh || true
    fi
fi

step "nothing left behind"
check "nothing left behind" nothing_left_behind || true
finish
