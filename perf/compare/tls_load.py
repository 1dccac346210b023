#!/usr/bin/env python3
"""Pushes over TLS that wrk cannot make: each on a connection of its own without resumption, or none on connections that stay.

    tls_load.py handshakes PORT SECONDS THREADS    prints: pushes, failures
    tls_load.py idle PORT CONNECTIONS              one push on each, prints READY when all are open, and keeps them until its input ends
"""
import resource, socket, ssl, sys, threading, time

PUSH = b'PUT /metrics/job/bench/instance/host-%d HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 8\r\n%s\r\nbench 1\n'


def context():
    # Who the server is does not matter here.
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


def push(tls, port, number, fields):
    """A new session each: a context keeps none unless it is asked to."""
    connection = tls.wrap_socket(socket.create_connection(('127.0.0.1', port), timeout=10))
    connection.sendall(PUSH % (number % 1000, fields))
    return connection, connection.recv(4096)


def handshakes(port, seconds, threads):
    end, counts, lock = time.monotonic() + seconds, [0, 0], threading.Lock()

    def run():
        tls, done, failed = context(), 0, 0
        while time.monotonic() < end:
            try:
                connection, reply = push(tls, port, done, b'Connection: close\r\n')
                done += 1
                failed += not reply.startswith((b'HTTP/1.1 200', b'HTTP/1.1 202', b'HTTP/1.1 307')) or connection.session_reused
                connection.close()
            except OSError:
                failed += 1
        with lock:
            counts[0] += done
            counts[1] += failed

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    print(*counts)


def idle(port, connections):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    tls, kept = context(), []
    for number in range(connections):
        connection, reply = push(tls, port, number, b'')
        if not reply.startswith(b'HTTP/1.1 '):
            sys.exit(f'no response on connection {number}: {reply!r}')
        kept.append(connection)
    print('READY', flush=True)
    sys.stdin.read()


if __name__ == '__main__':
    {'handshakes': handshakes, 'idle': idle}[sys.argv[1]](*map(int, sys.argv[2:]))
