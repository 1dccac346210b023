"""The push clients: how each is built, called and named. What they have in common is their command line: ACTION ADDRESS JOB INSTANCE."""
import os, re, shutil, subprocess, sys

from peers import PASSWORD, ROOT, USER

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(ROOT, 'artifacts', 'clients')
# Debian's, whatever else is first on the path: the client's package belongs to it.
PYTHON = '/usr/bin/python3'
ALL = ('put', 'post', 'delete')


def run(*command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        sys.exit(f'{" ".join(command)}: exit code {done.returncode}\n{done.stdout}')
    return done.stdout.strip()


def source(*path):
    return os.path.join(HERE, *path)


def built(*path):
    return os.path.join(OUT, *path)


def build():
    """Everything that has to be compiled or fetched, into artifacts/clients."""
    os.makedirs(OUT, exist_ok=True)
    os.makedirs(built('node'), exist_ok=True)
    for name in ('package.json', 'package-lock.json', '.npmrc', 'push.js'):
        shutil.copy(source('node', name), built('node', name))
    run('npm', 'ci', '--loglevel=error', cwd=built('node'))
    # Debian packages the client's source as a GOPATH tree.
    run('go', 'build', '-o', built('go-push'), source('go', 'push.go'),
        env={**os.environ, 'GO111MODULE': 'off', 'GOPATH': '/usr/share/gocode', 'GOFLAGS': '', 'GOCACHE': built('go-cache')})
    run('javac', '-d', built('java'), source('java', 'Push.java'))
    run('g++', '-std=c++17', '-O1', '-o', built('cpp-push'), source('cpp', 'push.cc'), '-lprometheus-cpp-push', '-lprometheus-cpp-core', '-lcurl', '-lz')
    run('dotnet', 'build', source('prometheus-net'), '-c', 'Release', '-o', built('prometheus-net'), '-v', 'quiet', '-nodeReuse:false',
        '-p:UseSharedCompilation=false')


def debian(package):
    """An installed package's upstream version."""
    return re.sub(r'^\d+:|[-~+].*$', '', run('dpkg-query', '-W', '-f', '${Version}', package))


def first(pattern, *command, before=''):
    return before + re.search(pattern, run(*command)).group(1)


def peer_versions():
    consul = first(r'Consul v(\S+)', 'consul', 'version')
    gateway = first(r'version (\S+)', 'prometheus-pushgateway', '--version')
    return f'Consul {consul}, Pushgateway {re.sub("[-+~].*", "", gateway)}.'


class Client:
    def __init__(self, name, command, version, actions=ALL, tls=True):
        self.name, self.command, self.version, self.actions, self.tls = name, command, version, actions, tls

    def push(self, action, address, job, instance, credentials, authority=None):
        """Whether the client reports success, and its last words. With an authority it speaks TLS."""
        extra = {'PUSH_USER': USER, 'PUSH_PASSWORD': PASSWORD} if credentials else {}
        if authority:
            # curl and the sockets take PUSH_CA as an option; Go, .NET and Python's urllib know OpenSSL's own variable.
            extra.update(PUSH_CA=authority.file, SSL_CERT_FILE=authority.file, REQUESTS_CA_BUNDLE=authority.file, NODE_EXTRA_CA_CERTS=authority.file,
                         JDK_JAVA_OPTIONS=f'-Djavax.net.ssl.trustStore={authority.store} -Djavax.net.ssl.trustStorePassword={authority.password}')
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith('_proxy') and not k.startswith('PUSH_')}
        try:
            done = subprocess.run([*self.command, action, address, job, instance], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=60, env={**environment, **extra})
        except subprocess.TimeoutExpired:
            return False, 'no end in 60 s'
        return done.returncode == 0, (done.stdout.strip().splitlines() or ['nothing'])[-1]



def all_clients():
    python = debian('python3-prometheus-client') + first(r'(?s)Python (.*)', PYTHON, '--version', before=', Python ')
    curl_version = first(r'curl (\S+)', 'curl', '--version')
    node = first(r'"prom-client": "(.*)"', 'cat', source('node', 'package.json')) + first('v(.*)', 'node', '--version', before=', Node ')
    go = debian('golang-github-prometheus-client-golang-dev') + first(r'go(\d[\d.]*)', 'go', 'version', before=', Go ')
    net = (first(r'Include="prometheus-net" Version="(.*?)"', 'cat', os.path.join(ROOT, 'Directory.Packages.props')) +
           first(r'Microsoft\.NETCore\.App (10\.\S+)', 'dotnet', '--list-runtimes', before=', .NET '))

    def curl(flags):
        return ['sh', source('curl', 'push.sh'), flags]

    # What a pipe gives cannot be sent twice: curl waits for the answer to its Expect, by default a second and here longer than any stall.
    body, stream = '--data-binary @-', '--expect100-timeout 15 -T -'
    return [
        Client('curl `-f`', curl(body), curl_version),
        Client('curl `-f -L`', curl('-L ' + body), curl_version),
        Client('curl `-f --location-trusted`', curl('--location-trusted ' + body), curl_version),
        Client('curl `-f -L -T -` (a pipe)', curl('-L ' + stream), curl_version, actions=('put', 'post')),
        Client('Python `default_handler`', [PYTHON, source('python', 'push.py'), 'default'], python),
        Client('Python `passthrough_redirect_handler`', [PYTHON, source('python', 'push.py'), 'passthrough'], python),
        Client('Python, a handler on `requests`', [PYTHON, source('python', 'push.py'), 'requests'], python + ', requests ' + debian('python3-requests')),
        Client('Node `prom-client`', ['node', built('node', 'push.js')], node),
        Client('Go `client_golang`', [built('go-push')], go),
        Client('Java `HttpURLConnection`', ['java', '-XX:TieredStopAtLevel=1', '-Xshare:auto', '-cp', built('java'), 'Push'],
               first(r'"(\S+)"', 'java', '-version', before='JDK ')),
        Client('.NET `prometheus-net` `MetricPusher`', [built('prometheus-net', 'Push')], net, actions=('put', 'post')),
        Client('C++ `prometheus-cpp`', [built('cpp-push')], debian('prometheus-cpp-dev'), tls=False),
        Client('a socket: chunked, follows nothing', [PYTHON, source('raw', 'push.py'), 'chunked'], '', actions=('put', 'post')),
        Client('a socket: `Expect: 100-continue`, follows', [PYTHON, source('raw', 'push.py'), 'expect'], '', actions=('put', 'post')),
    ]
