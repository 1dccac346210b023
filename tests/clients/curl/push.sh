#!/bin/sh
# push.sh FLAGS put|post|delete ADDRESS JOB INSTANCE: curl as a shell script calls it, metrics on its standard input. With -f, so that its exit
# code says what it takes for a failure. FLAGS name how the body is given, too.
flags=$1 url=http${PUSH_CA:+s}://$3/metrics/job/$4/instance/$5
[ -z "$PUSH_CA" ] || flags="$flags --cacert $PUSH_CA"
[ -z "$PUSH_USER" ] || flags="$flags -u $PUSH_USER:$PUSH_PASSWORD"

call() { # splits the flags on purpose
    # shellcheck disable=SC2086
    curl -q -sS -f -m 20 -o /dev/null -w 'status %{http_code}' -X "$1" $flags "$url" 2>/dev/null
}

case $2 in
    put | post) words=$(printf '# TYPE pushed_value gauge\npushed_value 1\n' | call "$(echo "$2" | tr '[:lower:]' '[:upper:]')") ;;
    delete) words=$(call DELETE </dev/null) ;;
esac
code=$?
echo "$words, exit code $code"
exit $code
