"""Where a request's time goes: the system calls that a server makes for it (strace -c), and its user and system time without strace."""
import os, re, signal, subprocess, time
import throughput
from child import TICKS

WORKLOAD = 'keep-alive, 64 connections'


def measure(servers, folder, seconds):
    rows = []
    for server in servers:
        throughput.load(server, WORKLOAD, 1)
        user, system = split(server)
        row = throughput.load(server, WORKLOAD, seconds)
        user, system = ((after - before) / row['requests'] * 1e6 for before, after in zip((user, system), split(server)))
        calls = traced(server, folder, seconds)
        rows.append({'server': server.name, 'user_us': user, 'system_us': system, 'calls': calls})
        print(f"{server.name:8} {user:5.2f} µs user {system:5.2f} µs system  " + ', '.join(f'{name} {count:.3f}' for name, count in calls.items()), flush=True)
    return rows


def split(server):
    """Seconds of user and of system time so far."""
    fields = [open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split() for pid in server.pids()]
    return sum(int(f[11]) for f in fields) / TICKS, sum(int(f[12]) for f in fields) / TICKS


def traced(server, folder, seconds):
    """Calls per request by name, those that fewer than one request in a hundred needs left out."""
    out = os.path.join(folder, f'strace-{server.name}')
    tracer = subprocess.Popen(['strace', '-f', '-c', '-q', '-U', 'calls,name', '-o', out, *(option for pid in server.pids() for option in ('-p', str(pid)))],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    requests = throughput.load(server, WORKLOAD, seconds)['requests']
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    counts = {name: int(calls) / requests for calls, name in re.findall(r'^\s*(\d+)\s+(\w+)$', open(out).read(), re.M) if name != 'total'}
    return dict(sorted(((name, count) for name, count in counts.items() if count >= 0.01), key=lambda item: -item[1]))
