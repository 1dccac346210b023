#!/usr/bin/env bash
# Waits until the server with the packaged configuration is ready, pushes once, and prints the response without its carriage returns.
#
#   packaging/demo-push.sh PID      the server's; it ends the wait by ending
set -euo pipefail

for _ in $(seq 150); do
    curl -fsS -o /dev/null --noproxy '*' http://127.0.0.1:9292/-/ready 2>/dev/null && break
    kill -0 "$1" 2>/dev/null || break
    sleep 0.2
done
curl -sS -i --noproxy '*' -X PUT --data-binary $'demo_value 1\n' http://127.0.0.1:9292/metrics/job/demo/instance/a | tr -d '\r'
