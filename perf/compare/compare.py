#!/usr/bin/env python3
"""Drives perf/compare: every server through every workload, interleaved, and writes the targets, the table, the chart and the raw figures.

Called by run.sh, which installs and builds what it needs. Servers on the first core, load generator on the second; CPU is user plus system
time of the server's processes per request, from /proc. Ratios are made within a round and their median is quoted: the machine may be shared.
"""
import argparse, datetime, json, os, re, shutil, sys, tempfile
import latency, process, report, syscalls, throughput
from servers import DEFAULT, TITLES, Server

PARTS = ('throughput', 'latency', 'reshard', 'idle', 'start', 'collections', 'cores')


def main():
    args = arguments()
    folder = tempfile.mkdtemp(prefix='dynamic-sharding-compare-')
    try:
        data = measure(args, folder)
    finally:
        shutil.rmtree(folder)
    if args.keep:
        kept = json.load(open(os.path.join(args.out, 'results.json')))
        taken = {**kept.get('taken', {}), **data['taken']}
        if not data['rows']:
            # The document is dated by its throughput.
            data |= {key: kept[key] for key in ('date', 'servers', 'rounds', 'seconds')}
        data = {key: value or kept.get(key) for key, value in data.items()} | {'taken': taken}
    print(*([] if args.max_ratio else [report.targets_table(data)]), report.table(data), sep='\n\n')
    if args.out:
        os.makedirs(args.out, exist_ok=True)
        json.dump(data, open(os.path.join(args.out, 'results.json'), 'w'), indent=1)
    if args.write:
        report.write_document(data, args.write, os.path.join(os.path.dirname(args.write), 'images', 'performance.svg'))
    if args.max_ratio:
        sys.exit(gate(data['rows'], args.max_ratio))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('floor', 'kestrel', 'sockets', 'aot', 'jit'):
        parser.add_argument('--' + name, help='a binary')
    parser.add_argument('--servers', default=DEFAULT, help='of ' + ', '.join(TITLES))
    parser.add_argument('--parts', default=','.join(PARTS), help='besides these: syscalls, which needs strace, and priority, which needs root')
    parser.add_argument('--workloads', default='.', help='a regular expression')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=3)
    parser.add_argument('--pairs', type=int, default=7, help='of open-loop runs')
    parser.add_argument('--out', help='folder for results.json')
    parser.add_argument('--keep', action='store_true', help='what is not among --parts is taken from the results.json in --out')
    parser.add_argument('--write', help='a Markdown file with the marks of the measured part, docs/performance.md')
    parser.add_argument('--max-ratio', type=float, help="the gate: fail when the AOT file's CPU ratio to nginx is above this on any workload")
    return parser.parse_args()


def measure(args, folder):
    names, parts = args.servers.split(','), args.parts.split(',')
    data = {'date': f'{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC', 'versions': report.versions() if args.write else '', 'servers': names, 'rounds': args.rounds,
            'seconds': args.seconds, 'rows': [], 'latency': [], 'reshard': [], 'idle': {}, 'start': [], 'collections': None, 'cores': [], 'syscalls': [], 'priority': []}
    data['taken'] = {part: data['date'] for part in parts}
    servers = []
    try:
        servers = [Server(name, folder, args).wait() for name in names]
        by_name = {server.name: server for server in servers}
        if 'throughput' in parts:
            data['rows'] = throughput.measure(servers, [w for w in throughput.WORKLOADS if re.search(args.workloads, w)], args.rounds, args.seconds)
        if 'latency' in parts:
            data['latency'] = latency.measure([by_name['nginx'], by_name['aot']], folder, (20_000, 50_000), args.pairs, 10)
        if 'syscalls' in parts:
            data['syscalls'] = syscalls.measure(servers, folder, args.seconds)
        if 'collections' in parts:
            data['collections'] = process.collections(by_name['aot'], 5_000_000)
    finally:
        for server in servers:
            server.stop()
    if 'reshard' in parts:
        data['reshard'] = latency.reshard(args, folder, 5)
    if 'priority' in parts:
        data['priority'] = latency.priority(args, folder, 7)
    if 'idle' in parts:
        for name in names:
            # HAProxy reserves two descriptors for each connection that it may have.
            server = Server(name, folder, args).wait()
            throughput.load(server, 'keep-alive, 64 connections', 1)
            data['idle'][name] = process.idle_bytes(server, 8_000 if name == 'haproxy' else 10_000)
            server.stop()
    if 'start' in parts:
        data['start'] = process.start(args, folder, 15)
    if 'cores' in parts:
        data['cores'] = process.cores(args, folder, args.rounds, args.seconds)
    return data


def gate(rows, bound):
    failed = 0
    if len({r['workload'] for r in rows}) < 2:
        print('FAIL  a gate over fewer than two workloads guards nothing: their names have changed')
        return 1
    for workload in dict.fromkeys(r['workload'] for r in rows):
        ratio = report.ratio(rows, workload, 'aot', 'nginx')
        errors = sum(r['failed'] + r['bad_status'] for r in rows if r['server'] == 'aot' and r['workload'] == workload)
        good = ratio <= bound and not errors
        failed += not good
        print(f"{'ok   ' if good else 'FAIL '} {workload}: CPU ratio to nginx {ratio:.2f} (at most {bound}), errors {errors}")
    return 1 if failed else 0


main()
