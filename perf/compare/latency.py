"""Open-loop latency from the intended send time: dynamic-sharding and nginx in pairs."""
import json, os, statistics, subprocess, sys, time, urllib.request
from child import HERE, LOAD_CORE
from load_generator import generate
from servers import Server

PERCENTILES = ('p50', 'p99', 'p99.9')


def measure(servers, folder, rates, pairs, seconds):
    """A row per rate, pair and server."""
    rows = []
    for rate in rates:
        for pair in range(pairs):
            for server in servers if pair % 2 == 0 else servers[::-1]:
                stats = generate(server.port, 'keep-alive', folder, ['--rate', str(rate), '--duration', f'{seconds}s'])
                row = {'rate': rate, 'pair': pair, 'server': server.name, 'errors': stats['errors'],
                       **{p: stats['latency']['all'][p] for p in PERCENTILES}, 'lag_p99': stats['latency']['generator lag']['p99']}
                rows.append(row)
                print(f"{rate:,}/s  pair {pair + 1}  {server.name:8} p50 {row['p50']} p99 {row['p99']} p99.9 {row['p99.9']} µs  errors {row['errors']}", flush=True)
    return rows


def reshard(binaries, folder, times):
    """
    A gateway of a thousand leaves a Consul answer of 3 MB and the configuration is read again, under 50,000 requests a second: p99.9 of the two
    seconds around it against the rest of the run. One run per time; the answers are canned, because an agent would take the measured cores.
    """
    rows = []
    consul = subprocess.Popen(['taskset', '-c', LOAD_CORE, 'nice', '-n', '10', sys.executable, os.path.join(HERE, 'canned_consul.py')], stdout=subprocess.PIPE, text=True)
    try:
        address = consul.stdout.readline().strip()
        server = Server('aot', folder, binaries, template='reshard-server.yml', values={'CONSUL': address}).wait()
        try:
            wait_for_members(server, 1000)
            for number in range(times):
                before = status(server)
                stats = generate(server.port, os.path.join(HERE, 'reshard.yml'), folder, ['--event-pids', f'{server.process.pid},{consul.pid}'])
                after = status(server)
                if after['changes'] == before['changes']:
                    sys.exit('the ring did not change during the run')
                row = {'run': number, 'errors': stats['errors'], 'disturbed': stats['latency']['disturbed']['p99.9'],
                       'undisturbed': stats['latency']['undisturbed']['p99.9']}
                rows.append(row)
                print(f"reshard  run {number + 1}  p99.9 {row['disturbed']} µs around it, {row['undisturbed']} µs otherwise  errors {row['errors']}", flush=True)
        finally:
            server.stop()
    finally:
        consul.terminate()
        consul.wait()
    return rows


def priority(binaries, folder, pairs):
    """The same with the loops before the other threads, as it ships, and with all threads alike, which takes root: pairs of runs."""
    rows, servers = [], {}
    consuls = [subprocess.Popen(['taskset', '-c', LOAD_CORE, 'nice', '-n', '10', sys.executable, os.path.join(HERE, 'canned_consul.py')],
                                stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for kind, consul in zip(('preferred', 'alike'), consuls):
            servers[kind] = Server('aot', folder, binaries, template='reshard-server.yml', values={'CONSUL': consul.stdout.readline().strip()}).wait()
            wait_for_members(servers[kind], 1000)
        tasks = f"/proc/{servers['alike'].process.pid}/task"
        for task in os.listdir(tasks):
            os.setpriority(os.PRIO_PROCESS, int(task), 0)
        for pair in range(pairs):
            for kind, consul in list(zip(('preferred', 'alike'), consuls))[::1 if pair % 2 else -1]:
                stats = generate(servers[kind].port, os.path.join(HERE, 'reshard.yml'), folder, ['--event-pids', f'{servers[kind].process.pid},{consul.pid}'])
                row = {'pair': pair, 'kind': kind, 'errors': stats['errors'],
                       **{f'{population} {p}': stats['latency'][population][p] for population in ('disturbed', 'undisturbed') for p in ('p99', 'p99.9')}}
                rows.append(row)
                print(row, flush=True)
    finally:
        for server in servers.values():
            server.stop()
        for consul in consuls:
            consul.terminate()
            consul.wait()
    for p in ('p99', 'p99.9'):
        of = lambda kind: {row['pair']: row[f'disturbed {p}'] for row in rows if row['kind'] == kind}
        ours, alike = of('preferred'), of('alike')
        ratios = [ours[n] / alike[n] for n in ours]
        print(f"{p} around a new ring: preferred {statistics.median(ours.values()):,.0f} µs, alike {statistics.median(alike.values()):,.0f} µs, "
              f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return rows


def status(server):
    return json.load(urllib.request.urlopen(f'http://127.0.0.1:{server.admin}/api/v1/status', timeout=10))


def wait_for_members(server, count):
    for _ in range(300):
        if sum(member['in_ring'] for member in status(server)['members']) == count:
            return
        time.sleep(0.1)
    server.fail(f'has no {count} members')
