"""Closed-loop load by wrk: CPU per request and rate, every server in every round."""
import os, re, subprocess, sys
from child import HERE, LOAD_CORE

WORKLOADS = {  # name: connections, pipelining, one connection per push
    'keep-alive, 8 connections': (8, 1, False),
    'keep-alive, 64 connections': (64, 1, False),
    'keep-alive, 512 connections': (512, 1, False),
    'keep-alive, 2,000 connections': (2000, 1, False),
    'one connection per push': (64, 1, True),
    'pipelined x16, 64 connections': (64, 16, False),
}


def load(server, workload, seconds, cores=LOAD_CORE, threads=1, nice=0):
    connections, depth, close = WORKLOADS[workload]
    before = server.cpu()
    run = subprocess.run(
        ['nice', '-n', str(nice), 'taskset', '-c', cores, 'wrk', f'-t{threads}', f'-c{connections}', f'-d{seconds}s', '-s', os.path.join(HERE, 'push.lua'),
         f'http://127.0.0.1:{server.port}/', '--', str(depth)] + (['close'] if close else []), capture_output=True, text=True)
    cpu = server.cpu() - before
    result = re.search(r'RESULT (.*)', run.stdout)
    if not result:
        sys.exit(f'wrk failed on {server.name}:\n{run.stdout}\n{run.stderr}')
    requests, micros, failed, bad, p50, p99, p999 = map(int, result.group(1).split())
    return {'server': server.name, 'workload': workload, 'requests': requests, 'rate': requests / micros * 1e6, 'cpu_us': cpu / max(requests, 1) * 1e6,
            'failed': failed, 'bad_status': bad, 'p50_us': p50, 'p99_us': p99, 'p999_us': p999, 'rss_kib': server.rss()}


def measure(servers, workloads, rounds, seconds):
    rows = []
    for workload in workloads:
        # The floor answers a segment, not a request: it has nothing to say about pipelining.
        taking_part = [s for s in servers if not (s.name == 'floor' and WORKLOADS[workload][1] > 1)]
        for number in range(rounds + 1):
            # Round 0 warms up. The order turns, so that nobody always runs after the same neighbour.
            turn = number % len(taking_part)
            for server in taking_part[turn:] + taking_part[:turn]:
                row = load(server, workload, seconds if number else 2)
                if number:
                    rows.append({**row, 'round': number})
                    print(f"{workload}  round {number}  {server.name:8} {row['rate']:9,.0f}/s {row['cpu_us']:6.2f} µs"
                          f"  errors {row['failed'] + row['bad_status']}", flush=True)
    return rows
