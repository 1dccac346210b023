#!/usr/bin/env python3
"""A launcher that shuts down the listening socket that it has handed over: what does the server do?

  dead_listener.py BINARY

Hands a listening socket to an instance, holds a connection to it, calls shutdown(2) on the socket, pushes on the held connection, and prints
that answer. The exit code is the instance's. Loopback only.
"""
import os, socket, sys, tempfile, time

PUT = b'PUT /metrics/job/a HTTP/1.1\r\nHost: edge\r\n\r\n'
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(64)
folder = tempfile.TemporaryDirectory(prefix='dynamic-sharding-dead-listener-')
config = os.path.join(folder.name, 'dynamic-sharding.yml')
with open(config, 'w') as file:
    file.write("""admin_listen_addr: ""
pushgateway: {servers: ["127.0.0.1:9091"], health_check: {enabled: false}}
shutdown: {drain_delay: 3s, timeout: 5s}
""")

pid = os.fork()
if pid == 0:
    if listener.fileno() != 3:
        os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')
    os.execv(sys.argv[1], [sys.argv[1], '--config.file', config])

client = socket.create_connection(listener.getsockname(), 10)
client.sendall(PUT)
print('before:', client.recv(4096).split(b'\r\n')[0].decode(), flush=True)
listener.shutdown(socket.SHUT_RDWR)
time.sleep(1)  # of the three seconds that are left to whoever is connected
client.sendall(PUT)
fields = client.recv(4096).decode().split('\r\n')
print('open connection:', ', '.join([fields[0]] + [field for field in fields if field.startswith('Connection:')]), flush=True)
client.close()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
