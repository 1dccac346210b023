"""The servers that are compared and how each is started, all on the first core, on free loopback ports."""
import os

from child import HERE, SERVER_CORE, Child, free_port

TITLES = {'floor': 'C floor', 'nginx': 'nginx', 'haproxy': 'HAProxy', 'kestrel': 'Kestrel', 'aot': 'dynamic-sharding (AOT)', 'jit': 'dynamic-sharding (JIT)',
          'inline': 'same session, Socket with inline completions (JIT)', 'pool': 'same session, Socket by the thread pool (JIT)'}
DEFAULT = 'floor,nginx,haproxy,kestrel,aot,jit'
PUSH = b'PUT /metrics/job/bench/instance/host-17 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n'


class Server(Child):
    """`template` is its configuration file beside this script; @PORT@, @ADMIN@ and more are filled in."""

    def __init__(self, name, folder, binaries, cores=SERVER_CORE, template='dynamic-sharding.yml', values=None):
        self.port, self.admin = free_port(), free_port()
        super().__init__(name, os.path.join(folder, f'{name}-{self.port}'))
        values = {'PORT': self.port, 'ADMIN': self.admin, **(values or {})}
        command = {
            'floor': lambda: [binaries.floor, str(self.port)],
            'kestrel': lambda: [binaries.kestrel, str(self.port)],
            'inline': lambda: ['env', 'DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS=1', binaries.sockets, str(self.port)],
            'pool': lambda: [binaries.sockets, str(self.port)],
            'nginx': lambda: ['nginx', '-p', self.folder, '-c', self.configure('nginx.conf', **values)],
            'haproxy': lambda: ['haproxy', '-db', '-f', self.configure('haproxy.cfg', **values)],
            'aot': lambda: [binaries.aot, '--config.file', self.configure(template, **values)],
            'jit': lambda: [binaries.jit, '--config.file', self.configure(template, **values)],
        }[name]
        self.start(command(), cores)

    def wait(self):
        super().wait(self.port)
        return self
