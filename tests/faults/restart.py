#!/usr/bin/env python3
"""Fresh connections at a fixed rate, one request each, whatever becomes of the ones before: what does a restart cost them?

  restart.py PORT --rate 2000 --seconds 12

Opens connections to 127.0.0.1:PORT on schedule, and does not wait for one before the next. Counts the answers (307), connections refused,
reset, closed without an answer, answered otherwise, and without an answer after 20 s. Prints one JSON line; exit code 0 whatever was lost.
"""
import argparse, errno, json, select, socket, time

parser = argparse.ArgumentParser()
parser.add_argument('port', type=int)
parser.add_argument('--rate', type=float, default=2000)
parser.add_argument('--seconds', type=float, default=12)
args = parser.parse_args()

REQUEST = b'PUT /metrics/job/restart/instance/a HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nContent-Length: 6\r\n\r\na_b 1\n'
PATIENCE = 20
counts = dict(opened=0, answered=0, refused=0, reset=0, closed=0, other=0, unanswered=0)
examples, waits, live = [], [], {}
poll = select.epoll()


def finish(fd, outcome, note=''):
    client, began, reply = live.pop(fd)
    counts[outcome] += 1
    if outcome == 'answered':
        waits.append(time.monotonic() - began)
    elif len(examples) < 5:
        examples.append(f'{outcome} {note} after {time.monotonic() - began:.3f} s, {time.monotonic() - start:.3f} s into the run')
    client.close()


def fail(fd, code):
    finish(fd, 'refused' if code == errno.ECONNREFUSED else 'reset' if code in (errno.ECONNRESET, errno.EPIPE) else 'other', errno.errorcode.get(code, code))


def handle(fd, event):
    client, _, reply = live[fd]
    try:
        if event & select.EPOLLOUT:
            code = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                return fail(fd, code)
            client.send(REQUEST)
            poll.modify(fd, select.EPOLLIN)
            return
        more = client.recv(4096)
    except OSError as error:
        return fail(fd, error.errno)
    reply += more
    if b'\r\n\r\n' in reply:
        finish(fd, 'answered' if reply.startswith(b'HTTP/1.1 307 ') else 'other', repr(bytes(reply[:40])))
    elif not more:
        finish(fd, 'closed', f'after {len(reply)} bytes')


start = time.monotonic()
end = start + args.seconds
due = start
while True:
    now = time.monotonic()
    while due <= now < end:
        due += 1 / args.rate
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(('127.0.0.1', args.port))
        counts['opened'] += 1
        live[client.fileno()] = (client, now, bytearray())
        poll.register(client, select.EPOLLOUT)
    if now >= end and not live:
        break
    for fd, event in poll.poll(min(max(due - now, 0), 0.05) if now < end else 0.05, 4096):
        handle(fd, event)
    if now >= end + PATIENCE:
        for fd in list(live):
            finish(fd, 'unanswered')
waits.sort()
took = args.seconds
print(json.dumps(dict(counts, rate=round(counts['opened'] / took), longest_wait=round(waits[-1], 3) if waits else None, examples=examples)))
