#!/usr/bin/env python3
"""Drives perf/compare: every server through every workload, interleaved, and writes the table, the chart and the raw figures.

Called by run.sh, which installs and builds what it needs. Server on the first core, load generator on the second; CPU is user plus system
time of the server's processes per request, from /proc. Ratios are made within a round and their median is quoted: the machine may be shared.
"""
import argparse, json, os, platform, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TICKS = os.sysconf('SC_CLK_TCK')
WORKLOADS = {  # name: connections, pipelining, one connection per push
    'keep-alive, 8 connections': (8, 1, False),
    'keep-alive, 64 connections': (64, 1, False),
    'keep-alive, 512 connections': (512, 1, False),
    'keep-alive, 2,000 connections': (2000, 1, False),
    'one connection per push': (64, 1, True),
    'pipelined x16, 64 connections': (64, 16, False),
}
TITLES = {'floor': 'C floor', 'nginx': 'nginx', 'haproxy': 'HAProxy', 'kestrel': 'Kestrel', 'aot': 'dynamic-sharding (AOT)', 'jit': 'dynamic-sharding (JIT)'}


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, name, folder, args):
        self.name, self.port = name, free_port()
        folder = os.path.join(folder, name)
        os.makedirs(folder)
        command = getattr(self, 'command_' + name)(folder, args)
        self.log = open(os.path.join(folder, 'log'), 'wb')
        self.process = subprocess.Popen(['taskset', '-c', '0'] + command, cwd=folder, stdout=self.log, stderr=self.log)
        self.wait()

    def command_floor(self, folder, args):
        return [args.floor, str(self.port)]

    def command_nginx(self, folder, args):
        return ['nginx', '-p', folder, '-c', self.configure(folder, 'nginx.conf')]

    def command_haproxy(self, folder, args):
        return ['haproxy', '-db', '-f', self.configure(folder, 'haproxy.cfg')]

    def command_kestrel(self, folder, args):
        return [args.kestrel, str(self.port)]

    def command_aot(self, folder, args):
        return [args.aot, '--config.file', self.configure(folder, 'dynamic-sharding.yml')]

    def command_jit(self, folder, args):
        return [args.jit, '--config.file', self.configure(folder, 'dynamic-sharding.yml')]

    def configure(self, folder, template):
        text = open(os.path.join(HERE, template)).read().replace('@PORT@', str(self.port)).replace('@ADMIN@', str(free_port()))
        path = os.path.join(folder, template)
        open(path, 'w').write(text)
        return path

    def wait(self):
        for _ in range(600):
            if self.process.poll() is not None:
                sys.exit(f'{self.name} ended: see {self.log.name}')
            try:
                socket.create_connection(('127.0.0.1', self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        sys.exit(f'{self.name} does not listen: see {self.log.name}')

    def pids(self):
        children = open(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read().split()
        return [self.process.pid] + [int(pid) for pid in children]

    def cpu(self):
        total = 0
        for pid in self.pids():
            fields = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def rss(self):
        return sum(int(re.search(r'VmRSS:\s+(\d+)', open(f'/proc/{pid}/status').read()).group(1)) for pid in self.pids())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def load(server, workload, seconds):
    connections, depth, close = WORKLOADS[workload]
    before = server.cpu()
    run = subprocess.run(
        ['taskset', '-c', '1', 'wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '-s', os.path.join(HERE, 'push.lua'),
         f'http://127.0.0.1:{server.port}/', '--', str(depth)] + (['close'] if close else []), capture_output=True, text=True)
    cpu = server.cpu() - before
    result = re.search(r'RESULT (.*)', run.stdout)
    if not result:
        sys.exit(f'wrk failed on {server.name}:\n{run.stdout}\n{run.stderr}')
    requests, micros, failed, bad, p50, p99, p999 = map(int, result.group(1).split())
    return {'server': server.name, 'workload': workload, 'rate': requests / micros * 1e6, 'cpu_us': cpu / max(requests, 1) * 1e6, 'failed': failed,
            'bad_status': bad, 'p50_us': p50, 'p99_us': p99, 'p999_us': p999, 'rss_kib': server.rss()}


def idle_bytes(server, connections):
    before = server.rss()
    sockets = []
    push = b'PUT /metrics/job/bench/instance/host-17 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n'
    for _ in range(connections):
        s = socket.create_connection(('127.0.0.1', server.port))
        s.sendall(push)
        sockets.append(s)
    for s in sockets:
        s.recv(4096)
    time.sleep(2)
    grown = (server.rss() - before) * 1024 / connections
    for s in sockets:
        s.close()
    return grown


def median(values):
    return statistics.median(values) if values else float('nan')


def ratios(rows, workload, server, other, key='cpu_us'):
    of = lambda name: {r['round']: r[key] for r in rows if r['workload'] == workload and r['server'] == name}
    ours, theirs = of(server), of(other)
    return median([ours[n] / theirs[n] for n in ours if theirs.get(n)])


def table(rows, idle, names):
    lines = []
    for workload in dict.fromkeys(r['workload'] for r in rows):
        lines += [f'### {workload}', '', '| server | requests/s | CPU µs/request | p50 µs | p99 µs | p99.9 µs | CPU ratio to nginx | CPU ratio to the floor |',
                  '|---|---|---|---|---|---|---|---|']
        for name in names:
            own = [r for r in rows if r['workload'] == workload and r['server'] == name]
            if not own:
                continue
            m = lambda key: median([r[key] for r in own])
            note = ' (closes each connection)' if name == 'haproxy' else ''
            lines.append(f"| {TITLES[name]}{note} | {m('rate'):,.0f} | {m('cpu_us'):.2f} | {m('p50_us'):,.0f} | {m('p99_us'):,.0f} | {m('p999_us'):,.0f} "
                         f"| {ratios(rows, workload, name, 'nginx'):.2f} | {ratios(rows, workload, name, 'floor'):.2f} |")
        lines.append('')
    if idle:
        lines += ['### Memory', '', '| server | RSS after the runs, MiB | bytes per idle connection |', '|---|---|---|']
        for name, grown in idle.items():
            lines.append(f"| {TITLES[name]} | {median([r['rss_kib'] for r in rows if r['server'] == name]) / 1024:.1f} | {grown:,.0f} |")
        lines.append('')
    return '\n'.join(lines)


def chart(rows, names):
    workloads = list(dict.fromkeys(r['workload'] for r in rows))
    colours = {'floor': '#9aa0a6', 'nginx': '#2e7d32', 'haproxy': '#1565c0', 'kestrel': '#6a1b9a', 'aot': '#e6522c', 'jit': '#f4a582'}
    values = {(w, n): median([r['cpu_us'] for r in rows if r['workload'] == w and r['server'] == n]) for w in workloads for n in names}
    top = max(v for v in values.values() if v == v)
    bar, gap, left, width = 14, 26, 230, 760
    y, parts = 40, []
    for w in workloads:
        parts.append(f'<text x="10" y="{y + 12}" font-weight="600">{w}</text>')
        for n in names:
            v = values[w, n]
            if v != v:
                continue
            length = v / top * (width - left - 90)
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" fill="{colours[n]}"/>'
                         f'<text x="{left + length + 6:.1f}" y="{y + 10}" font-size="10">{v:.1f}  {TITLES[n]}</text>')
            y += bar
        y += gap
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 120} {y}" font-family="system-ui,sans-serif" font-size="12" fill="currentColor">'
            f'<title>CPU per request</title><text x="10" y="20" font-size="14" font-weight="600">CPU per request, µs (less is better)</text>{"".join(parts)}</svg>\n')


def main():
    parser = argparse.ArgumentParser()
    for name in ('floor', 'kestrel', 'aot', 'jit'):
        parser.add_argument('--' + name)
    parser.add_argument('--servers', default='floor,nginx,haproxy,kestrel,aot,jit')
    parser.add_argument('--workloads', default='.', help='a regular expression')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=5)
    parser.add_argument('--idle', type=int, default=0, help='idle connections for the memory figure; 0 = none')
    parser.add_argument('--out', help='folder for results.json, table.md and cpu.svg')
    parser.add_argument('--max-ratio', type=float, help="the gate: fail when the AOT file's CPU ratio to nginx is above this on any workload")
    args = parser.parse_args()
    names = args.servers.split(',')
    folder = tempfile.mkdtemp(prefix='dynamic-sharding-compare-')
    servers, rows, idle = [], [], {}
    try:
        servers = [Server(name, folder, args) for name in names]
        for workload in [w for w in WORKLOADS if re.search(args.workloads, w)]:
            for round_number in range(args.rounds + 1):
                # Round 0 warms up. The order turns, so that nobody always runs after the same neighbour.
                turn = round_number % len(servers)
                for server in servers[turn:] + servers[:turn]:
                    row = load(server, workload, args.seconds if round_number else 2)
                    if round_number:
                        rows.append({**row, 'round': round_number})
                        print(f"{workload}  round {round_number}  {server.name:8} {row['rate']:9,.0f}/s {row['cpu_us']:6.2f} µs"
                              f"  errors {row['failed'] + row['bad_status']}", flush=True)
        if args.idle:
            idle = {server.name: idle_bytes(server, args.idle) for server in servers}
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder)
    print(table(rows, idle, names))
    if args.out:
        os.makedirs(args.out, exist_ok=True)
        json.dump({'rows': rows, 'idle_bytes': idle}, open(os.path.join(args.out, 'results.json'), 'w'), indent=1)
        open(os.path.join(args.out, 'table.md'), 'w').write(table(rows, idle, names))
        open(os.path.join(args.out, 'cpu.svg'), 'w').write(chart(rows, names))
    if args.max_ratio:
        failed = 0
        for workload in dict.fromkeys(r['workload'] for r in rows):
            ratio = ratios(rows, workload, 'aot', 'nginx')
            errors = sum(r['failed'] + r['bad_status'] for r in rows if r['server'] == 'aot' and r['workload'] == workload)
            good = ratio <= args.max_ratio and not errors
            failed += not good
            print(f"{'ok   ' if good else 'FAIL '} {workload}: CPU ratio to nginx {ratio:.2f} (at most {args.max_ratio}), errors {errors}")
        sys.exit(1 if failed else 0)


main()
