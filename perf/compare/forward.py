#!/usr/bin/env python3
"""What forward mode costs: beside nginx as a proxy with the same hash, and for the redirect listener of the same process.

Called by forward.sh, which installs and builds what it needs. Everything runs interleaved, the server on the first core, load and gateway on the
second. Parts, each a few minutes at most, can be run one by one; a part replaces its rows in OUT/forward.json, and docs/performance.md is
written from what is there. CPU is user plus system time of the server's processes, from /proc; ratios are made within a round.
"""
import argparse, os, re, subprocess, sys

from child import HERE, LOAD_CORE, SERVER_CORE, Child, free_port
from forward_report import fragment, machine
from load_generator import generate
from parts import add_options, measure, write
import tls

BODIES = (120, 4096, 32768)
RATES = (1000, 5000)


def process(folder, name, core, command, template=None, ports=(), **values):
    """A process that listens. `template` is its configuration, the last of its arguments."""
    child = Child(name, os.path.join(folder, name))
    child.start([*command, *([child.configure(template, **values)] if template else [])], core)
    for port in ports:
        child.wait(port)
    return child


class Stage:
    """The gateway and whoever pushes to it. `ports` are where the load goes, by the name in the tables."""

    def __init__(self, folder, args):
        self.folder, self.args, self.processes, self.ports, self.owners = folder, args, [], {}, {}
        self.gateway = free_port()
        self.add(process(folder, 'gateway', LOAD_CORE, [args.gateway, str(self.gateway)], ports=[self.gateway]))

    def add(self, process, **ports):
        self.processes.append(process)
        for name, port in ports.items():
            self.ports[name], self.owners[name] = port, process

    def nginx(self):
        port = free_port()
        self.add(process(self.folder, 'nginx', SERVER_CORE, ['nginx', '-p', os.path.join(self.folder, 'nginx'), '-c'], 'nginx-proxy.conf', [port],
                         PORT=port, GATEWAY=self.gateway), nginx=port)

    def forwarder(self):
        """The floor: no parsing, one gateway connection per client."""
        port = free_port()
        self.add(process(self.folder, 'forwarder', SERVER_CORE, [self.args.forwarder, str(port), str(self.gateway)], ports=[port]), forwarder=port)

    def sharding(self, name, forwards):
        port, forward, admin = free_port(), free_port(), free_port()
        child = process(self.folder, name, SERVER_CORE, [self.args.aot, '--config.file'], 'dynamic-sharding-forward.yml',
                          [port, *([forward] if forwards else [])], PORT=port, ADMIN=admin, GATEWAY=self.gateway,
                          FORWARD=f'127.0.0.1:{forward}' if forwards else '""')
        self.add(child, **{name: port}, **({'forward': forward} if forwards else {}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.stop()


def wrk(stage, name, body, seconds, connections=64, fields=()):
    server = stage.owners[name]
    before = server.cpu()
    run = subprocess.run(['taskset', '-c', LOAD_CORE, 'wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '-s', os.path.join(HERE, 'forward.lua'),
                          f"http{'s' if name.endswith('-tls') else ''}://127.0.0.1:{stage.ports[name]}/", '--', str(body), *fields], capture_output=True, text=True)
    cpu = server.cpu() - before
    result = re.search(r'RESULT (.*)', run.stdout)
    if not result:
        sys.exit(f'wrk failed on {name}:\n{run.stdout}\n{run.stderr}')
    requests, micros, failed, bad, p99 = map(int, result.group(1).split())
    return {'server': name, 'body': body, 'rate': requests / micros * 1e6, 'cpu_us': cpu / max(requests, 1) * 1e6, 'p99_us': p99, 'errors': failed + bad,
            'rss_mib': server.rss() / 1024}


def interleaved(stage, names, bodies, rounds, seconds, fields=()):
    rows = []
    for body in bodies:
        for number in range(rounds + 1):
            # Round 0 warms up; the order turns with every round.
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                row = wrk(stage, name, body, seconds if number else 2, fields=fields)
                if number:
                    rows.append({**row, 'round': number})
                    print(f"{body:6} B  round {number}  {name:14} {row['rate']:8,.0f}/s {row['cpu_us']:7.2f} µs  p99 {row['p99_us']:7,} µs"
                          f"  errors {row['errors']}", flush=True)
    return rows


def cpu_part(folder, args):
    with Stage(folder, args) as stage:
        stage.nginx()
        stage.forwarder()
        stage.sharding('redirect', forwards=True)
        return interleaved(stage, ['nginx', 'forwarder', 'forward'], BODIES, args.rounds, args.seconds)


def fresh_part(folder, args):
    """One connection of a client per push; those to the gateway are kept."""
    with Stage(folder, args) as stage:
        stage.nginx()
        stage.sharding('redirect', forwards=True)
        return interleaved(stage, ['nginx', 'forward'], (120,), args.rounds, args.seconds, ['Connection: close'])


def latency_part(folder, args):
    rows = []
    with Stage(folder, args) as stage:
        stage.nginx()
        stage.sharding('redirect', forwards=True)
        for rate in RATES:
            for number in range(args.rounds):
                for name in ('nginx', 'forward') if number % 2 else ('forward', 'nginx'):
                    stats = generate(stage.ports[name], os.path.join(HERE, 'forward.yml'), folder, ['--rate', str(rate), '--duration', f'{args.seconds}s'])
                    row = {'server': name, 'rate': rate, 'round': number, 'errors': stats['errors'], 'p50_us': stats['latency']['all']['p50'],
                           'p99_us': stats['latency']['all']['p99'], 'p999_us': stats['latency']['all']['p99.9'], 'lag_p99_us': stats['latency']['generator lag']['p99']}
                    rows.append(row)
                    print(row, flush=True)
    return rows


def redirect_part(folder, args):
    with Stage(folder, args) as stage:
        # The control is the same as the first: how far these two are apart is the noise.
        names = ['without', 'control', 'with']
        for name in names:
            stage.sharding(name, forwards=name == 'with')
        rows = interleaved(stage, names, (120,), 2 * args.rounds, args.seconds)
        threads = {name: len(os.listdir(f'/proc/{stage.owners[name].process.pid}/task')) for name in names}
        return [{**row, 'threads': threads[row['server']]} for row in rows]


def tls_part(folder, args):
    with Stage(folder, args) as stage:
        files = tls.certificate(folder)
        tls.add_nginx(stage, process, files)
        tls.add_sharding(stage, process, files)
        return interleaved(stage, ['nginx-tls', 'forward-tls'], BODIES, args.rounds, args.seconds)


def handshakes_part(folder, args):
    with Stage(folder, args) as stage:
        files = tls.certificate(folder)
        tls.add_nginx(stage, process, files)
        tls.add_sharding(stage, process, files)
        ciphers = {name: tls.cipher(port) for name, port in stage.ports.items()}
        if len(set(ciphers.values())) != 1:
            sys.exit(f'not the same cipher: {ciphers}')
        return [{**row, 'cipher': ciphers[row['server']]} for row in tls.handshake_rows(stage, args.rounds, args.seconds)]


def idle_part(folder, args):
    rows = []
    for name in ('redirect-tls', 'forward-tls'):
        with Stage(os.path.join(folder, name), args) as stage:
            tls.add_sharding(stage, process, tls.certificate(stage.folder))
            rows.append(tls.idle_row(stage, name))
    return rows


def main():
    parts = {'cpu': cpu_part, 'fresh': fresh_part, 'latency': latency_part, 'redirect': redirect_part, 'tls': tls_part, 'handshakes': handshakes_part, 'idle': idle_part}
    parser = argparse.ArgumentParser()
    parser.add_argument('--aot', required=True)
    parser.add_argument('--gateway', required=True)
    parser.add_argument('--forwarder', required=True)
    add_options(parser, parts)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=5)
    args = parser.parse_args()
    text = fragment(measure(parts, args, 'forward', machine))
    print(text)
    if args.write:
        write(text, 'forward')


if __name__ == '__main__':
    main()
