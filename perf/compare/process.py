"""What a process costs beside its load: idle connections, start, garbage collections, a second core."""
import re, resource, socket, statistics, time, urllib.request
import throughput
from servers import PUSH, Server


def idle_bytes(server, connections):
    """Resident bytes per idle kept connection, each of which has had one answer."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = server.rss()
    sockets = []
    for _ in range(connections):
        s = socket.create_connection(('127.0.0.1', server.port))
        s.sendall(PUSH)
        s.recv(4096)
        sockets.append(s)
    time.sleep(2)
    grown = (server.rss() - before) * 1024 / connections
    for s in sockets:
        s.close()
    return grown


def first_answer(server):
    """Milliseconds from the start of the process to its first 307."""
    while True:
        try:
            with socket.create_connection(('127.0.0.1', server.port)) as s:
                s.sendall(PUSH)
                if not s.recv(4096).startswith(b'HTTP/1.1 307'):
                    server.fail('did not answer with 307')
                return (time.monotonic() - server.started) * 1000
        except ConnectionRefusedError:
            if server.process.poll() is not None:
                server.fail('ended at its start')
            time.sleep(0.0005)


def start(binaries, folder, times):
    """Starts with the admin listener on: time to the first 307, and resident KiB right after it and a first look at /metrics."""
    rows = []
    for _ in range(times):
        server = Server('aot', folder, binaries, cores='0,1')
        milliseconds = first_answer(server)
        metrics(server)
        rows.append({'ms': milliseconds, 'rss_kib': server.rss()})
        server.stop()
    print(f"start: first 307 after {statistics.median(r['ms'] for r in rows):.1f} ms, then {statistics.median(r['rss_kib'] for r in rows) / 1024:.1f} MiB", flush=True)
    return rows


def metrics(server):
    return urllib.request.urlopen(f'http://127.0.0.1:{server.admin}/metrics', timeout=10).read().decode()


def total(text, family):
    return sum(float(value) for value in re.findall(rf'^{family}(?:{{[^}}]*}})? (\S+)$', text, re.M))


def collections(server, requests):
    """Garbage collections and managed bytes during at least so many requests on kept connections. The first look warms its own code up."""
    metrics(server)
    before, sent = metrics(server), 0
    while sent < requests:
        row = throughput.load(server, 'keep-alive, 64 connections', 10)
        if row['failed'] + row['bad_status']:
            server.fail('failed requests')
        sent += row['requests']
    after = metrics(server)
    result = {'requests': sent, **{name: total(after, family) - total(before, family)
                                   for name, family in (('collections', 'dotnet_gc_collections_total'), ('bytes', 'dotnet_gc_allocated_bytes_total'))}}
    print(f"{sent:,} requests: {result['collections']:.0f} collections, {result['bytes']:,.0f} bytes allocated by the whole process", flush=True)
    return result


def cores(binaries, folder, rounds, seconds):
    """CPU per request on one core and on two, with the load generator on the same cores and behind them (nice 19)."""
    rows = []
    servers = {n: Server('aot', folder, binaries, cores=','.join(str(core) for core in range(n))).wait() for n in (1, 2)}
    try:
        for number in range(rounds + 1):
            for n, server in servers.items():
                row = throughput.load(server, 'keep-alive, 64 connections', seconds, cores=','.join(str(core) for core in range(n)), threads=n, nice=19)
                if number:
                    rows.append({'round': number, 'cores': n, 'cpu_us': row['cpu_us'], 'rate': row['rate']})
                    print(f"{n} core(s)  round {number}  {row['rate']:9,.0f}/s {row['cpu_us']:6.2f} µs", flush=True)
    finally:
        for server in servers.values():
            server.stop()
    return rows
