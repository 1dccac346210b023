#!/usr/bin/env python3
"""Name servers that never respond, and a name whose address moves: what pushes to the others, and to that name, notice of it.

  unshare -mn resolver.py BINARY silent [--names 12] [--seconds 20]
  unshare -mn resolver.py BINARY moves [--seconds 45]
  unshare -mn resolver.py BINARY several

silent: a healthy gateway by its address beside so many names whose name server takes every query and responds to none; the longest that a
redirect, a forward to the healthy gateway and /-/ready took, and whether the healthy gateway stayed in the ring. moves: pushes through the
forward listener on kept connections to the one gateway, gw.test, whose address moves after 5 s; how long pushes still came to the old address. several:
gw.test has three addresses, of which the first takes no connection (its SYNs are dropped), the second refuses them and the third is a gateway;
how long ten pushes took that each need a new connection.
Needs a network and a mount namespace of its own: it is its own name server on 127.0.0.53. Prints one JSON line.
"""
import argparse, http.client, json, os, signal, socket, struct, subprocess, sys, tempfile, threading, time

parser = argparse.ArgumentParser()
parser.add_argument('binary')
parser.add_argument('mode', choices=['silent', 'moves', 'several'])
parser.add_argument('--names', type=int, default=12)
parser.add_argument('--seconds', type=float)
args = parser.parse_args()
seconds = args.seconds or (20 if args.mode == 'silent' else 45)

subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
folder = tempfile.TemporaryDirectory(prefix='dynamic-sharding-resolver-')
path = lambda name: os.path.join(folder.name, name)
open(path('resolv.conf'), 'w').write('nameserver 127.0.0.53\n')
open(path('hosts'), 'w').write('127.0.0.1 localhost\n')
for name in ('resolv.conf', 'hosts'):
    subprocess.run(['mount', '--bind', path(name), f'/etc/{name}'], check=True)

addresses = ['127.0.0.2']
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.bind(('127.0.0.53', 53))


def answer_queries():
    while True:
        query, client = dns.recvfrom(512)
        if args.mode == 'silent':
            continue
        end = query.index(b'\0', 12) + 5
        kind = struct.unpack('!H', query[end - 4:end - 2])[0]
        found = kind == 1 and b'\x02gw\x04test' in query
        head = query[:2] + struct.pack('!HHHHH', 0x8180, 1, len(addresses) * found, 0, 0)
        records = b''.join(b'\xc0\x0c' + struct.pack('!HHIH', 1, 1, 5, 4) + socket.inet_aton(a) for a in addresses * found)
        dns.sendto(head + query[12:end] + records, client)


last_push = {}


def gateway(ip):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ip, 9091))
    listener.listen(128)

    def serve(connection):
        stream = connection.makefile('rb')
        while line := stream.readline():
            length = 0
            while (field := stream.readline()) not in (b'\r\n', b''):
                if field.lower().startswith(b'content-length:'):
                    length = int(field.split(b':')[1])
            stream.read(length)
            if line.startswith(b'PUT'):
                last_push[ip] = time.monotonic()
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK')
        connection.close()

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


threading.Thread(target=answer_queries, daemon=True).start()
gateway('127.0.0.2')
if args.mode == 'moves':
    gateway('127.0.0.3')
if args.mode == 'several':
    addresses = ['127.0.0.4', '127.0.0.5', '127.0.0.2']
    full = socket.socket()
    full.bind(('127.0.0.4', 9091))
    full.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for each in waiting:
        each.setblocking(False)
        each.connect_ex(('127.0.0.4', 9091))
checks = 'enabled: false' if args.mode == 'several' else 'interval: 1s, timeout: 1s'
servers = ['127.0.0.2:9091'] + [f'slow{i}.test' for i in range(args.names)] if args.mode == 'silent' else ['gw.test:9091']
open(path('c.yml'), 'w').write(f"""http_listen_addr: 127.0.0.1:9292
admin_listen_addr: 127.0.0.1:9293
forward_listen_addr: 127.0.0.1:9294
pushgateway: {{ servers: {json.dumps(servers)}, health_check: {{ {checks} }} }}
shutdown: {{ drain_delay: 0s, timeout: 2s }}
""")
server = subprocess.Popen([args.binary, '--config.file', path('c.yml'), '--log.level', 'warn'], stderr=open(path('log'), 'w'))


def ask(port, method, target):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    connection.request(method, target, 'm 1\n' if method == 'PUT' else None)
    response = connection.getresponse()
    return response.status, response.read().decode()


def until(condition):
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.1)
    server.kill()
    sys.exit('the server does not respond: ' + open(path('log')).read())


result = {'mode': args.mode}
until(lambda: ask(9292, 'GET', '/-/healthy')[0] == 200)
if args.mode == 'silent':
    own = next(t for t in (f'/metrics/job/j{i}' for i in range(100_000)) if '127.0.0.2:' in ask(9292, 'GET', t)[1])
    longest, bad, end = {}, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for name, port, method, target in (('redirect', 9292, 'PUT', own), ('forward', 9294, 'PUT', own), ('ready', 9293, 'GET', '/-/ready')):
            begun = time.monotonic()
            status, _ = ask(port, method, target)
            longest[name] = max(longest.get(name, 0), round(time.monotonic() - begun, 3))
            bad += name == 'forward' and status != 200
        time.sleep(0.05)
    members = json.loads(ask(9293, 'GET', '/api/v1/status')[1])['members']
    result |= {'longest': longest, 'failed': bad, 'healthy': next(m['in_ring'] for m in members if m['address'] == '127.0.0.2:9091')}
elif args.mode == 'several':
    kept, took, failed = http.client.HTTPConnection('127.0.0.1', 9294, timeout=60), [], 0
    for i in range(10):
        begun = time.monotonic()
        kept.request('PUT', f'/metrics/job/j{i}', 'm 1\n' * 20_000)
        response = kept.getresponse()
        response.read()
        failed += response.status != 200
        took.append(time.monotonic() - begun)
    result |= {'failed': failed, 'first': round(took[0], 2), 'longest_of_the_rest': round(max(took[1:]), 2)}
else:
    until(lambda: ask(9294, 'PUT', '/metrics/job/first')[0] == 200)
    kept = http.client.HTTPConnection('127.0.0.1', 9294, timeout=60)
    failed, pushes, moved, end = 0, 0, None, time.monotonic() + seconds
    while time.monotonic() < end:
        if moved is None and time.monotonic() > end - seconds + 5:
            addresses, moved = ['127.0.0.3'], time.monotonic()
        kept.request('PUT', f'/metrics/job/j{pushes % 50}', 'm 1\n')
        response = kept.getresponse()
        response.read()
        failed += response.status != 200
        pushes += 1
        time.sleep(0.05)
    result |= {'pushes': pushes, 'failed': failed, 'old_address_for': round(last_push['127.0.0.2'] - moved, 1),
               'new_address': last_push.get('127.0.0.3', 0) > moved}
server.send_signal(signal.SIGTERM)
result['exit_code'] = server.wait(30)
print(json.dumps(result))
