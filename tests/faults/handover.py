#!/usr/bin/env python3
"""A stop with a successor under load: how many requests are lost?

  handover.py BINARY inherited|reuse_port [--rate 5000] [--stops 3] [--instances 1] [--leaves oldest|newest] [--at-once 1] [--drain 2s] [--migrate]

Starts an instance, loads it with keep-alive and fresh connections, starts its successor on the same port (the same listening socket, or its
own with SO_REUSEPORT), stops the first with SIGTERM, and that --stops times in a row; counts every request that got no 307 as lost. The one
exemption is counted as late: a fresh connection, closed in good order without a byte of an answer, whose client sent its first request more
than 1.9 s after the connection was there, because it was itself suspended. --instances: so many serve before the first successor. --leaves: newest is a
rollback, the successor stops and the others stay. --at-once: so many successors start, and so many instances stop in the same moment. --migrate sets net.ipv4.tcp_migrate_req=1, so run it in a network namespace of its own: unshare -n.
Prints one JSON line; exit code 0 whatever was lost. Loopback only.
"""
import argparse, json, os, signal, socket, subprocess, sys, tempfile, threading, time

parser = argparse.ArgumentParser()
parser.add_argument('binary')
parser.add_argument('mode', choices=['inherited', 'reuse_port'])
parser.add_argument('--rate', type=int, default=5000)
parser.add_argument('--stops', type=int, default=3)
parser.add_argument('--instances', type=int, default=1)
parser.add_argument('--leaves', choices=['oldest', 'newest'], default='oldest')
parser.add_argument('--at-once', type=int, default=1)
parser.add_argument('--drain', default='2s')
parser.add_argument('--migrate', action='store_true')
args = parser.parse_args()

subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=False, stderr=subprocess.DEVNULL)
if args.migrate:
    open('/proc/sys/net/ipv4/tcp_migrate_req', 'w').write('1')

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(('127.0.0.1', 0))
port = listener.getsockname()[1]
if args.mode == 'inherited':
    listener.listen(4096)
else:
    listener.close()
folder = tempfile.TemporaryDirectory(prefix='dynamic-sharding-handover-')
config = os.path.join(folder.name, 'dynamic-sharding.yml')
open(config, 'w').write(f"""http_listen_addr: 127.0.0.1:{port}
admin_listen_addr: ""
reuse_port: {str(args.mode == 'reuse_port').lower()}
pushgateway: {{servers: ["127.0.0.1:9091", "127.0.0.2:9091"], health_check: {{enabled: false}}}}
shutdown: {{drain_delay: {args.drain}, timeout: 5s}}
""")


def start():
    def hand_over():
        if args.mode == 'inherited':
            if listener.fileno() != 3:
                os.dup2(listener.fileno(), 3)
            os.set_inheritable(3, True)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')

    pid = os.fork()
    if pid == 0:
        hand_over()
        os.execv(args.binary, [args.binary, '--config.file', config, '--log.level', 'warn'])
    return pid


REQUEST = b'PUT /metrics/job/handover/instance/a HTTP/1.1\r\nHost: edge\r\n%sContent-Length: 6\r\n\r\na_b 1\n'
FIRST_REQUEST_GRACE = 1.9  # a stop waits 2 s for the first request of a connection that it has accepted
lock, lost, late, answered, slow, running = threading.Lock(), [], [], 0, 0, True


def connect():
    client = socket.create_connection(('127.0.0.1', port), 10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


class Unanswered(ConnectionError):
    pass


def exchange(client, request):
    client.sendall(request)
    reply = b''
    while b'\r\n\r\n' not in reply:
        more = client.recv(4096)
        if not more and not reply:
            raise Unanswered('closed without an answer')
        if not more:
            raise ConnectionError(f'closed after {len(reply)} bytes of an answer')
        reply += more
    if not reply.startswith(b'HTTP/1.1 307 '):
        raise ConnectionError(repr(reply[:40]))
    return b'Connection: close' in reply


def work(rate, fresh):
    global answered, slow
    client, due, count, waited, failures, starved = None, time.monotonic(), 0, 0, [], []
    while running:
        due += 1 / rate
        pause = due - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        began, connected, sent = time.monotonic(), None, None
        try:
            if not client:
                client = connect()
                connected = time.monotonic()
            sent = time.monotonic()
            if exchange(client, REQUEST % (b'Connection: close\r\n' if fresh else b'')) or fresh:
                client.close()
                client = None
            count += 1
            waited += time.monotonic() - began > 0.5
        except OSError as error:
            note = f'{"fresh" if fresh else "keep-alive"}: {error}, {time.monotonic() - began:.3f} s after it began'
            suspended = connected is not None and sent - connected > FIRST_REQUEST_GRACE
            (starved if suspended and isinstance(error, Unanswered) else failures).append(note)
            client = None
    with lock:
        answered += count
        slow += waited
        lost.extend(failures)
        late.extend(starved)


def wait_until_it_serves():
    for _ in range(500):
        try:
            client = connect()
            client.settimeout(1)
            exchange(client, REQUEST % b'Connection: close\r\n')
            return
        except OSError:
            time.sleep(0.02)
    sys.exit('no answer from the server')


def serves(pid):
    """Its log says when; with one shared queue, no answer tells instances apart."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if any('loop-0' in open(f'/proc/{pid}/task/{t}/comm').read() for t in os.listdir(f'/proc/{pid}/task')):
                return
        except OSError:
            pass  # a thread that ended meanwhile
        time.sleep(0.02)
    sys.exit(f'instance {pid} does not serve')


def counters():
    """What the kernel counts about listeners that close, in this network namespace."""
    words = [line.split() for line in open('/proc/net/netstat') if line.startswith('TcpExt:')]
    all_of_them = dict(zip(words[0], words[1]))
    return {name: int(all_of_them[name]) for name in ('TCPMigrateReqSuccess', 'TCPMigrateReqFailure', 'ListenDrops', 'TCPSynRetrans')}


pids, exit_codes = [], []
try:
    for _ in range(args.instances):
        pids.append(start())
        serves(pids[-1])
    wait_until_it_serves()
    kernel = counters()
    workers = 16
    threads = [threading.Thread(target=work, args=(args.rate / workers, n % 2 == 1)) for n in range(workers)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for _ in range(args.stops):
        time.sleep(0.5)
        for _ in range(args.at_once):
            pids.append(start())
            serves(pids[-1])
        time.sleep(0.5)
        leaving = pids[:args.at_once] if args.leaves == 'oldest' else pids[-args.at_once:]
        for pid in leaving:
            os.kill(pid, signal.SIGTERM)
        for pid in leaving:
            exit_codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            pids.remove(pid)
    time.sleep(3)
    running = False
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    kernel = {name: value - kernel[name] for name, value in counters().items()}
finally:
    running = False
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
print(json.dumps({'mode': args.mode, 'migrate': args.migrate, 'stops': args.stops, 'rate': round(answered / took), 'answered': answered, 'lost': len(lost),
                  'late': len(late), 'over_half_a_second': slow, 'exit_codes': exit_codes, 'kernel': kernel, 'examples': (lost + late)[:5]}))
