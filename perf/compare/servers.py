"""The servers that are compared: how each is started, what it costs, how it is stopped. All on the first core, on free loopback ports."""
import os, re, signal, socket, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
TICKS = os.sysconf('SC_CLK_TCK')
SERVER_CORE, LOAD_CORE = '0', '1'
TITLES = {'floor': 'C floor', 'nginx': 'nginx', 'haproxy': 'HAProxy', 'kestrel': 'Kestrel', 'aot': 'dynamic-sharding (AOT)', 'jit': 'dynamic-sharding (JIT)',
          'inline': 'same session, Socket with inline completions (JIT)', 'pool': 'same session, Socket by the thread pool (JIT)'}
DEFAULT = 'floor,nginx,haproxy,kestrel,aot,jit'
PUSH = b'PUT /metrics/job/bench/instance/host-17 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Server:
    """One process (with its children). `template` is its configuration file beside this script; @PORT@, @ADMIN@ and more are filled in."""

    def __init__(self, name, folder, binaries, cores=SERVER_CORE, template='dynamic-sharding.yml', values=None):
        self.name, self.port, self.admin = name, free_port(), free_port()
        self.folder = os.path.join(folder, f'{name}-{self.port}')
        os.makedirs(self.folder)
        self.values = {'PORT': self.port, 'ADMIN': self.admin, **(values or {})}
        command = {
            'floor': lambda: [binaries.floor, str(self.port)],
            'kestrel': lambda: [binaries.kestrel, str(self.port)],
            'inline': lambda: ['env', 'DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS=1', binaries.sockets, str(self.port)],
            'pool': lambda: [binaries.sockets, str(self.port)],
            'nginx': lambda: ['nginx', '-p', self.folder, '-c', self.configure('nginx.conf')],
            'haproxy': lambda: ['haproxy', '-db', '-f', self.configure('haproxy.cfg')],
            'aot': lambda: [binaries.aot, '--config.file', self.configure(template)],
            'jit': lambda: [binaries.jit, '--config.file', self.configure(template)],
        }[name]()
        self.log = open(os.path.join(self.folder, 'log'), 'w+b')
        self.started = time.monotonic()
        self.process = subprocess.Popen(['taskset', '-c', cores] + command, cwd=self.folder, stdout=self.log, stderr=self.log)

    def configure(self, template):
        text = open(os.path.join(HERE, template)).read()
        for key, value in self.values.items():
            text = text.replace(f'@{key}@', str(value))
        path = os.path.join(self.folder, template)
        open(path, 'w').write(text)
        return path

    def wait(self):
        """Until it accepts connections."""
        for _ in range(600):
            if self.process.poll() is not None:
                self.fail('ended at its start')
            try:
                socket.create_connection(('127.0.0.1', self.port)).close()
                return self
            except ConnectionRefusedError:
                time.sleep(0.05)
        self.fail('does not listen')

    def fail(self, what):
        self.log.seek(0)
        sys.exit(f'{self.name} {what}:\n{self.log.read()[-2000:].decode(errors="replace")}')

    def pids(self):
        children = open(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read().split()
        return [self.process.pid] + [int(pid) for pid in children]

    def cpu(self):
        """Seconds of user and system time so far."""
        total = 0
        for pid in self.pids():
            fields = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def rss(self):
        """KiB."""
        return sum(int(re.search(r'VmRSS:\s+(\d+)', open(f'/proc/{pid}/status').read()).group(1)) for pid in self.pids())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
