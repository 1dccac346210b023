"""The real programs around the clients: a Consul, Pushgateways, dynamic-sharding. On loopback, stopped by pid, none outlives the script."""
import base64, contextlib, json, os, signal, socket, ssl, subprocess, sys, tempfile, time, urllib.error, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Another host than every gateway: most clients keep credentials on a redirect that stays on one host.
EDGE = '127.0.0.10'
USER, PASSWORD = 'pusher', 'not-secret'
# The password's bcrypt hash, at the least cost that there is.
HASH = '$2b$04$ooT4mWtqB8ipnpIQfavdE.J0iue0dIm/aFreffvYwcGHXEMcvJjEq'
# The script asks TLS gateways what they hold; whether their certificates are good is for the clients to say.
OPENER = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
GIVEN = set()


def free_port(host):
    while True:
        with socket.socket() as s:
            s.bind((host, 0))
            port = s.getsockname()[1]
        if port not in GIVEN:
            GIVEN.add(port)
            return port


def free_address(host):
    return f'{host}:{free_port(host)}'


def http(method, url, body=None, user=None):
    """The status and the text of an answer; (0, why) without one."""
    request = urllib.request.Request(url, body, method=method)
    if user:
        request.add_header('Authorization', 'Basic ' + base64.b64encode(f'{user}:{PASSWORD}'.encode()).decode())
    try:
        with OPENER.open(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def until(what, condition, limit=60):
    end = time.monotonic() + limit
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() > end:
            sys.exit(f'after {limit} s still not: {what}')
        time.sleep(0.05)


class Authority:
    """A certificate authority that no machine knows, as a PEM file and as Java's trust store, and one certificate for all hosts here."""
    password = 'not-secret'

    def __init__(self, folder):
        def path(name):
            return os.path.join(folder, name)

        def run(*command):
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def request(name, *more):
            run('openssl', 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=' + name,
                '-keyout', path(name + '.key'), *more)

        self.file, self.store, self.cert, self.key = (path(name) for name in ('authority.crt', 'authority.p12', 'edge.crt', 'edge.key'))
        request('authority', '-x509', '-days', '30', '-out', self.file)
        request('edge', '-out', path('edge.csr'))
        with open(path('names'), 'w') as names:
            names.write('subjectAltName=' + ','.join(f'IP:127.0.0.{n}' for n in (1, 2, 3, 10)))
        run('openssl', 'x509', '-req', '-days', '30', '-in', path('edge.csr'), '-CA', self.file, '-CAkey', path('authority.key'),
            '-CAcreateserial', '-extfile', path('names'), '-out', self.cert)
        run('keytool', '-importcert', '-noprompt', '-storetype', 'PKCS12', '-alias', 'authority', '-file', self.file, '-keystore', self.store,
            '-storepass', self.password)


class Cast(contextlib.ExitStack):
    def __init__(self):
        super().__init__()
        self.folder = self.enter_context(tempfile.TemporaryDirectory(prefix='dynamic-sharding-clients-'))

    def start(self, name, command, ready):
        log = self.enter_context(open(os.path.join(self.folder, name + '.log'), 'wb'))
        environment = {k: v for k, v in os.environ.items() if not k.startswith('CONSUL_')}
        process = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', '--', *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        self.callback(stop, process)

        def condition():
            if process.poll() is not None:
                sys.exit(f'{name} ended with {process.returncode}:\n' + open(log.name).read()[-4000:])
            return ready()

        until(f'{name} ready', condition)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as file:
            file.write(text)
        return path

    def consul(self):
        address = free_address('127.0.0.1')
        ports = [f'-http-port={address.split(":")[1]}'] + [f'-{name}={free_port("127.0.0.1")}' for name in ('server-port', 'serf-lan-port')]

        def leads():
            # Without a leader the answer is a 500; the agent in its own catalog means that registrations are served.
            status, text = http('GET', f'http://{address}/v1/health/node/clients')
            return status == 200 and json.loads(text)

        self.start('consul', ['consul', 'agent', '-dev', '-node=clients', '-bind=127.0.0.1', '-client=127.0.0.1', '-dns-port=-1', '-grpc-port=-1',
                              '-serf-wan-port=-1', *ports], leads)
        return address

    def gateways(self, protected=False, authority=None):
        flags, scheme = ['--persistence.file='], 'https' if authority else 'http'
        if authority:
            flags.append('--web.config.file=' + self.write('web-tls.yml', f'tls_server_config: {{cert_file: {authority.cert}, key_file: {authority.key}}}\n'))
        if protected:
            flags.append('--web.config.file=' + self.write('web.yml', f"basic_auth_users: {{{USER}: '{HASH}'}}\n"))
        addresses = [free_address(f'127.0.0.{n}') for n in (1, 2, 3)]
        for address in addresses:
            self.start('pushgateway-' + address, ['prometheus-pushgateway', '--web.listen-address=' + address, *flags],
                       lambda: http('GET', f'{scheme}://{address}/-/healthy', user=USER)[0] == 200)
        return addresses

    def sharding(self, binary, consul, service, gateways, more='', credentials=False, authority=None, scheme='http'):
        """The addresses of the listeners; with an authority the data listeners speak TLS."""
        edge = {'redirect': free_address(EDGE), 'forward': free_address(EDGE), 'admin': free_address(EDGE)}
        secure = 'https_' if authority else ''
        first = 'http_listen_addr: ""\nhttps' if authority else 'http'
        tls = f'tls: {{cert_file: {authority.cert}, key_file: {authority.key}}}\n' if authority else ''
        if scheme == 'https':
            # The agent does not know the authority, so that a TCP check is what it can make.
            more += f'  scheme: https\n  tls: {{ca_file: {authority.file}}}\n  health_check: {{type: tcp}}\n'
        if credentials:
            more += f'  basic_auth: {{username: {USER}, password_file: {self.write("password", PASSWORD)}}}\n'
        config = self.write(f'{service}-{edge["redirect"]}.yml', f'''{first}_listen_addr: {edge["redirect"]}
forward_{secure}listen_addr: {edge["forward"]}
{tls}admin_listen_addr: {edge["admin"]}
shutdown: {{drain_delay: 0s}}
consul_server: {{addr: {consul}, register_service_name: {service}}}
pushgateway:
  servers: {json.dumps(gateways)}
{more}''')

        def all_members():
            status, text = http('GET', f'http://{edge["admin"]}/api/v1/status')
            members = json.loads(text)['members'] if status == 200 else []
            asked, text = http('GET', f'http://{consul}/v1/health/service/{service}?passing=1')
            passing = json.loads(text) if asked == 200 else []
            return len(passing) == sum(member['state'] == 'member' for member in members) == len(gateways)

        self.start(f'dynamic-sharding-{edge["redirect"]}', [binary, '--config.file', config], all_members)
        return edge


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
