#!/usr/bin/env python3
"""What users cost: the same pushes at a fixed rate, with the same bytes, to a server without users, one with, and one with and a guesser beside it.

    perf/compare/users.py --aot BINARY --gateway BINARY --out FOLDER     about 7 minutes
    SERVER_CORES=0,1 LOAD_CORES=0,1 perf/compare/users.py ...            all of them on both cores

Called as forward.py is, and measured in the same way: interleaved, the server on the first core, load, guesser and gateway on the second. Prints
the quotients of every round and writes all rows to OUT/users.json.
"""
import argparse, json, os, shutil, signal, statistics, subprocess, sys, tempfile, time

from child import HERE, LOAD_CORE, SERVER_CORE, Child, free_port
from load_generator import generate

# The password of users.yml at cost 10, as htpasswd writes it.
HASH = '$2y$10$abcdefghijklmnopqrstuu23JPZtHcGhwXSF41f93o/7vBdDut3Xu'
GUESSERS = 64
BACKLOG_SECONDS = 16


class Server:
    def __init__(self, folder, name, args, gateway, users):
        self.name, self.ports = name, {'redirect': free_port(), 'forward': free_port()}
        self.child = Child(name, os.path.join(folder, name))
        config = self.child.configure(
            'dynamic-sharding-users.yml', PORT=self.ports['redirect'], FORWARD=self.ports['forward'], ADMIN=free_port(), GATEWAY=gateway,
            USERS=f'{{pusher: "{HASH}"}}' if users else '{}')
        self.child.start([args.aot, '--config.file', config], SERVER_CORE)
        for port in self.ports.values():
            self.child.wait(port)


def scenario(folder, expect):
    path = os.path.join(folder, f'users-{expect}.yml')
    text = open(os.path.join(HERE, 'users.yml')).read()
    open(path, 'w').write(text.replace('@EXPECT@', str(expect)))
    return path


def measure(server, listener, path, folder, args, guesses):
    guesser = None
    if guesses:
        guesser = subprocess.Popen(['taskset', '-c', LOAD_CORE, sys.executable, os.path.join(HERE, 'guesser.py'), str(server.ports[listener]), str(GUESSERS)],
                                   stdout=subprocess.PIPE, text=True)
    before = server.child.cpu()
    try:
        stats = generate(server.ports[listener], path, folder, ['--rate', str(args.rate), '--duration', f'{args.seconds}s'])
        cpu = server.child.cpu() - before
    finally:
        if guesser:
            guesser.terminate()
            guesser.wait()
            # A closed client may still want its response: what waits for bcrypt is verified until it has waited too long.
            time.sleep(BACKLOG_SECONDS)
    latency = stats['latency']['all']
    return {'server': server.name + (' and a guesser' if guesses else ''), 'listener': listener, 'errors': stats['errors'], 'p50_us': latency['p50'],
            'p99_us': latency['p99'], 'lag_p99_us': stats['latency']['generator lag']['p99'], 'cpu_s': round(cpu, 2),
            'guesses': guesser.communicate()[0].strip() if guesser else ''}


def run(folder, args):
    rows = []
    gateway = free_port()
    sink = Child('gateway', os.path.join(folder, 'gateway'))
    sink.start([args.gateway, str(gateway)], LOAD_CORE)
    sink.wait(gateway)
    servers = [Server(folder, 'without', args, gateway, users=False), Server(folder, 'with', args, gateway, users=True)]
    turns = [(servers[0], False), (servers[1], False), (servers[1], True)]
    try:
        for listener, expect in (('redirect', 307), ('forward', 200)):
            path = scenario(folder, expect)
            for server in servers:
                # The clients are known before anything is measured.
                generate(server.ports[listener], path, folder, ['--rate', '100', '--duration', '2s'])
            for number in range(args.rounds):
                for server, guesses in turns[number % 3:] + turns[:number % 3]:
                    rows.append({**measure(server, listener, path, folder, args, guesses), 'round': number})
                    print(rows[-1], flush=True)
    finally:
        for child in [sink, *(server.child for server in servers)]:
            child.stop()
    return rows


def quotients(rows, listener, name, key):
    of = lambda server: {row['round']: row[key] for row in rows if (row['listener'], row['server']) == (listener, server)}
    ours, theirs = of(name), of('without')
    values = [ours[number] / theirs[number] for number in ours]
    return f'{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--aot', required=True)
    parser.add_argument('--gateway', required=True)
    parser.add_argument('--out', required=True)
    parser.add_argument('--rate', type=int, default=20_000)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=5)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix='dynamic-sharding-users-')
    try:
        rows = run(folder, args)
    finally:
        shutil.rmtree(folder)
    json.dump(rows, open(os.path.join(args.out, 'users.json'), 'w'), indent=1)
    for listener in ('redirect', 'forward'):
        for name in ('with', 'with and a guesser'):
            print(f"{listener}, {name}: p50 {quotients(rows, listener, name, 'p50_us')}, p99 {quotients(rows, listener, name, 'p99_us')} of without users, "
                  f"CPU {quotients(rows, listener, name, 'cpu_s')}")
    print('errors:', sum(row['errors'] for row in rows))


if __name__ == '__main__':
    main()
