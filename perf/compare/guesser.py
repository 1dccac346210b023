#!/usr/bin/env python3
"""Guesses passwords at full speed until it is stopped, then prints how many of its guesses were refused with which status.

guesser.py PORT CONNECTIONS; every guess is another one, and every connection sends the next as soon as the last is answered.
"""
import base64, collections, selectors, signal, socket, sys

port, count = int(sys.argv[1]), int(sys.argv[2])
statuses = collections.Counter()
selector = selectors.DefaultSelector()
stopped = False


def stop(*_):
    global stopped
    stopped = True


def guess(client, number):
    credentials = base64.b64encode(b'pusher:guess %d %d' % (client.fileno(), number)).decode()
    client.sendall(f'PUT /metrics/job/guess HTTP/1.1\r\nHost: edge\r\nAuthorization: Basic {credentials}\r\nContent-Length: 0\r\n\r\n'.encode())


signal.signal(signal.SIGTERM, stop)
for _ in range(count):
    # Another machine than the load's: addresses take turns.
    client = socket.create_connection(('127.0.0.1', port), source_address=('127.0.0.2', 0))
    selector.register(client, selectors.EVENT_READ, [0])
    guess(client, 0)
while not stopped:
    for key, _ in selector.select(0.2):
        # A response fits into one segment.
        head = key.fileobj.recv(4096)
        if not head:
            sys.exit('the server closed a guesser')
        statuses[head.split(b' ', 2)[1].decode()] += 1
        key.data[0] += 1
        guess(key.fileobj, key.data[0])
print(*(f'{status}={number}' for status, number in sorted(statuses.items())))
