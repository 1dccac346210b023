#!/usr/bin/env python3
"""Who reaches the admin listener for what, on a machine with an address of its own. Run it in a network namespace, which it sets up:

  unshare -n admin_reach.py BINARY reload|hosts|ipv6|proxy

reload: a reload over HTTP from this machine, from elsewhere and through a proxy. hosts: names that a browser may have been made to resolve to
this machine. ipv6: healthcheck where there is no IPv4. proxy: who may begin with a PROXY header. One line per observation; exit code 1 if one is not as it should be."""
import base64, http.client, os, signal, socket, subprocess, sys, tempfile, time

BINARY, MODE = sys.argv[1:]
OWN = '192.0.2.1'  # TEST-NET-1, RFC 5737
FLEET = 'pushgateway: {servers: ["127.0.0.1:9091", "127.0.0.2:9091"], health_check: {enabled: false}}\nshutdown: {drain_delay: 0s}\n'
HASH = '$2b$04$ooT4mWtqB8ipnpIQfavdE.J0iue0dIm/aFreffvYwcGHXEMcvJjEq'  # of not-secret
bad = False


def run(*command):
    subprocess.run(command, check=True)


def expect(what, found, wanted):
    global bad
    bad |= found != wanted
    print(f'{what}: {found}' + ('' if found == wanted else f', wanted {wanted}'), flush=True)


def ask(host, method, path, fields=(), source=None, port=9293):
    connection = http.client.HTTPConnection(host, port, timeout=20, source_address=(source, 0) if source else None)
    connection.putrequest(method, path, skip_host=True)
    fields = dict(fields)
    fields.setdefault('Host', f'[{host}]:{port}' if ':' in host else f'{host}:{port}')
    for name, value in fields.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    return response.status, response.read().decode()


class Server:
    def __init__(self, config, ready_at='127.0.0.1'):
        self.file = os.path.join(tempfile.mkdtemp(), 'c.yml')
        with open(self.file, 'w') as file:
            file.write(FLEET + config)
        self.log = self.file + '.log'
        self.process = subprocess.Popen([BINARY, '--config.file', self.file], stdout=subprocess.DEVNULL, stderr=open(self.log, 'w'))
        for _ in range(200):
            try:
                if ask(ready_at, 'GET', '/-/ready')[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        self.process.kill()
        raise SystemExit('not ready: ' + open(self.log).read())

    def metric(self, series):
        lines = [line for line in ask('127.0.0.1', 'GET', '/metrics')[1].splitlines() if line.startswith(series + ' ')]
        return float(lines[0].rsplit(' ', 1)[1]) if lines else None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def reload_over_http():
    refused = 'reload rejected: the request is not from this machine; set admin.enable_lifecycle to true, or admin.basic_auth_users\n'
    proxied = [{'X-Forwarded-For': '127.0.0.1'}, {'Forwarded': 'for=127.0.0.1'}, {'Forwarded': ''}, {'X-Forwarded-For': ''}]
    with Server('') as server:
        expect('from loopback', ask('127.0.0.1', 'POST', '/-/reload'), (200, 'OK\n'))
        expect('from ::1', ask('::1', 'POST', '/-/reload', {'Host': '[::1]:9293'}), (200, 'OK\n'))
        expect('from elsewhere', ask(OWN, 'POST', '/-/reload'), (403, refused))
        expect('from elsewhere, PUT', ask(OWN, 'PUT', '/-/reload'), (403, refused))
        for fields in proxied:
            expect(f'through a proxy, {fields}', ask('127.0.0.1', 'POST', '/-/reload', fields), (403, refused))
        expect('counted', server.metric('dynamic_sharding_admin_rejected_requests_total{reason="not_local"}'), 2.0 + len(proxied))
        expect('elsewhere reads', ask(OWN, 'GET', '/api/v1/ring')[0], 200)
        expect('in the log', [line for line in open(server.log) if 'reject' in line], [])
        said = 'admin_listen_addr: is :9293 by default, and whoever reaches this machine can read the configuration'
        expect('the open default at the start and at both reloads', [said in line for line in open(server.log) if 'level=warn' in line and 'admin_listen_addr' in line], [True] * 3)
        checked = subprocess.run([BINARY, 'check-config', server.file], capture_output=True, text=True)
        expect('and by check-config', (checked.returncode, said in checked.stdout + checked.stderr), (0, True))
        expect('reloaded', sum('configuration reloaded' in line for line in open(server.log)), 2)
    with Server('admin: {enable_lifecycle: true}\n'):
        expect('with enable_lifecycle, from elsewhere', ask(OWN, 'POST', '/-/reload'), (200, 'OK\n'))
        expect('with enable_lifecycle, through a proxy', ask('127.0.0.1', 'POST', '/-/reload', proxied[0]), (200, 'OK\n'))
    with Server(f'admin: {{basic_auth_users: {{a: "{HASH}"}}}}\n'):
        expect('with users, without a password', ask(OWN, 'POST', '/-/reload')[0], 401)
        correct = {'Authorization': 'Basic ' + base64.b64encode(b'a:not-secret').decode()}
        expect('with users, from elsewhere', ask(OWN, 'POST', '/-/reload', correct), (200, 'OK\n'))
        expect('with users, through a proxy', ask('127.0.0.1', 'POST', '/-/reload', {**correct, **proxied[0]}), (200, 'OK\n'))
        expect('with users, without a password, from loopback', ask('127.0.0.1', 'POST', '/-/reload')[0], 401)


def hosts():
    name = socket.gethostname()
    guarded = [('GET', '/'), ('GET', '/?q=job%3Da'), ('GET', '/api/v1/status'), ('GET', '/api/v1/ring'), ('GET', '/api/v1/history'),
               ('GET', '/api/v1/lookup?path=/metrics/job/a'), ('GET', '/api/v1/simulate?remove=127.0.0.2:9091'), ('GET', '/api/v1/cleanup'), ('POST', '/-/reload')]
    always = ['/metrics', '/-/healthy', '/-/ready', '/api/v1/sd']
    refused = 'rejected: the Host of this request is not a name of this server; add it to admin.allowed_hosts\n'
    with Server('') as server:
        strangers = ['evil.example', 'evil.example:9293', '127.0.0.1.evil.example', 'localhost.evil.example', name + '.evil.example']
        for host in strangers:
            for method, path in guarded:
                expect(f'{host} {method} {path}', ask('127.0.0.1', method, path, {'Host': host}), (403, refused))
            for path in always:
                expect(f'{host} {path}', ask('127.0.0.1', 'GET', path, {'Host': host})[0], 200)
        for host in ['127.0.0.1', '127.0.0.1:9293', '198.51.100.7', '[::1]:9293', '[2001:db8::1]', 'localhost', 'LOCALHOST:9293', 'localhost.', name, name.upper() + ':9293']:
            for method, path in guarded:
                expect(f'{host} {method} {path}', ask('127.0.0.1', method, path, {'Host': host})[0], 200)
        expect('counted', server.metric('dynamic_sharding_admin_rejected_requests_total{reason="foreign_host"}'), float(len(strangers) * len(guarded)))
        expect('in the log', [line for line in open(server.log) if 'reject' in line], [])

        # A reload adds names.
        with open(server.file, 'a') as file:
            file.write('admin: {allowed_hosts: [status.example, "*.pgw.example"]}\n')
        expect('reload', ask('127.0.0.1', 'POST', '/-/reload'), (200, 'OK\n'))
        for host, status in [('status.example', 200), ('Status.Example.:9293', 200), ('a.pgw.example', 200), ('a.b.pgw.example', 403), ('pgw.example', 403),
                             ('evil.example', 403), ('127.0.0.1', 200), (name, 200)]:
            expect(f'allowed {host}', ask('127.0.0.1', 'GET', '/', {'Host': host})[0], status)
    with Server('admin: {allowed_hosts: any}\n'):
        expect('any', ask('127.0.0.1', 'GET', '/', {'Host': 'evil.example'})[0], 200)


def ipv6():
    def healthcheck(*arguments):
        done = subprocess.run([BINARY, 'healthcheck', *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    at6, at4 = 'http://[::1]:9293/-/ready', 'http://127.0.0.1:9293/-/ready'
    with Server('admin_listen_addr: "[::1]:9293"\n', '::1'):
        expect('only on ::1, healthcheck', healthcheck(), (0, at6 + ': 200 OK\n'))
    with Server('admin_listen_addr: "127.0.0.1:9293"\n'):
        expect('only on 127.0.0.1, healthcheck', healthcheck(), (0, at4 + ': 200 OK\n'))
    run('ip', 'address', 'del', '127.0.0.1/8', 'dev', 'lo')
    run('ip', 'address', 'del', OWN + '/32', 'dev', 'lo')
    with Server('', '::1') as server:
        expect('without IPv4, healthcheck', healthcheck(), (0, at6 + ': 200 OK\n'))
        expect('without IPv4, with the file', healthcheck('--config.file', server.file), (0, at6 + ': 200 OK\n'))
    with Server('http_listen_addr: "[::]:9393"\nadmin_listen_addr: "[::]:9293"\n', '::1') as server:
        expect('without IPv4, on [::]', healthcheck('--config.file', server.file), (0, at6 + ': 200 OK\n'))
    code, said = healthcheck()
    expect('nobody there', (code, at4 in said, at6 in said, said.count('\n')), (1, True, True, 1))


def proxy():
    """The data listener with the PROXY protocol: a peer from elsewhere, and one that has an address of this machine."""
    signature, push = b'\r\n\r\n\0\r\nQUIT\n', b'PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n'
    local, client = signature + b'\x20\0\0\0', signature + b'\x21\x11\0\x0c\xc6\x33\x64\x07\xc6\x33\x64\x01\x12\x67\x24\x4c'

    def send(header, source, to):
        with socket.create_connection((to, 9292), 20, (source, 0)) as connection:
            try:
                connection.sendall(header + push)
                return connection.recv(4096)[:12]
            except ConnectionError:
                return b''

    untrusted = 'dynamic_sharding_connections_closed_total{reason="untrusted_proxy"}'
    with Server('http_listen_addr: ":9292"\nproxy_protocol: v2\ntrusted_proxies: [192.0.2.9]\n') as server:
        for what, header in (('for itself', local), ('for a client', client), ('without a header', b'')):
            expect(f'from elsewhere, {what}', send(header, OWN, '127.0.0.1'), b'')
        expect('counted', server.metric(untrusted), 3.0)
        expect('from its own address, for itself', send(local, OWN, OWN), b'HTTP/1.1 307')
        expect('from its own address, for a client', send(client, OWN, OWN), b'')
        expect('counted', server.metric(untrusted), 4.0)


run('ip', 'link', 'set', 'lo', 'up')
run('ip', 'address', 'add', OWN + '/32', 'dev', 'lo')
{'reload': reload_over_http, 'hosts': hosts, 'ipv6': ipv6, 'proxy': proxy}[MODE]()
sys.exit(bad)
