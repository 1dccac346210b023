"""
Three real Pushgateways become four while clients push through the edge: how long copies stay, what is lost, what pushes feel. Without Pushgateway's
check of every push against all others, whose time grows with the groups: with it, two cores cannot take the rate.
"""
import json, socket, statistics, threading, time, urllib.request

from edge import Edge, free_port, listed, process

# CLIENTS divides GROUPS: one client sends all pushes of a group, in order.
GROUPS, RATE, CLIENTS, SETTLE, BASELINE = 10_000, 500, 16, 30, 40

# Every twentieth group is pushed before the change only, and every twentieth not again after it has reached its new owner once.
BEFORE_ONLY, ONCE_AFTER = 1, 2


class Pushers:
    """Pushes the groups in turn at a fixed rate. Latency counts from when a push was due."""

    def __init__(self, port):
        self.port, self.rows, self.failed, self.accepted, self.stopping = port, [], 0, {}, False
        self.changed = None
        self.begun = time.monotonic()
        self.threads = [threading.Thread(target=self.push, args=(number,)) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def wanted(self, group, number):
        if self.changed is None:
            return True
        rounds = (number - self.changed) // GROUPS
        return group % 20 != BEFORE_ONLY and (group % 20 != ONCE_AFTER or rounds < 1)

    def push(self, number):
        connection = self.connect()
        while not self.stopping:
            due = self.begun + number / RATE
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            group = number % GROUPS
            if self.wanted(group, number):
                content = b'batch_run %d\n' % number
                connection.sendall(b'PUT /metrics/job/batch_%d HTTP/1.1\r\nHost: edge\r\nContent-Length: %d\r\n\r\n%s' % (group, len(content), content))
                response = b''
                while b'\r\n\r\n' not in response and (received := connection.recv(4096)):
                    response += received
                self.rows.append((due, time.monotonic() - due))
                # Without its consistency check, Pushgateway accepts a push with 202.
                if response.startswith((b'HTTP/1.1 200 ', b'HTTP/1.1 202 ')):
                    self.accepted[group] = number
                else:
                    self.failed += 1
                    connection.close()
                    connection = self.connect()
            number += CLIENTS
        connection.close()

    def connect(self):
        connection = socket.create_connection(('127.0.0.1', self.port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def change(self):
        # A round begins anew with the next push, whoever sends it.
        self.changed = int((time.monotonic() - self.begun) * RATE) + CLIENTS

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def p99(self, begin, end):
        values = [latency for due, latency in self.rows if begin <= due < end]
        return statistics.quantiles(values, n=1000)[989] * 1000


def copies(gateways):
    """The values of every group's copies."""
    found = {}
    for gateway in gateways:
        for group in json.load(urllib.request.urlopen(f'http://{gateway}/api/v1/metrics', timeout=60))['data']:
            value = float(group['batch_run']['metrics'][0]['value'])
            found.setdefault(int(group['labels']['job'].removeprefix('batch_')), []).append(value)
    return found


def run(folder, args):
    gateways, processes, pushers = [f'127.0.0.1:{free_port()}' for _ in range(4)], [], None
    try:
        for number, gateway in enumerate(gateways):
            processes.append(process(folder, f'gateway{number}', [
                'prometheus-pushgateway', f'--web.listen-address={gateway}', '--persistence.file=', '--push.disable-consistency-check']))
            processes[-1].wait(int(gateway.split(':')[1]))
        port = free_port()
        edge = Edge(folder, args.aot, 'scale-out.yml', PORT=port, GATEWAYS=listed(gateways[:3]))
        processes.insert(0, edge)
        edge.until(lambda: edge.cleanup()['passes'], SETTLE + 120, 'made no first pass')
        pushers = Pushers(port)
        time.sleep(GROUPS / RATE + 2)
        quiet = time.monotonic()
        time.sleep(BASELINE)
        passes = edge.cleanup()['passes']
        changed = time.monotonic()
        pushers.change()
        edge.reload(GATEWAYS=listed(gateways))
        edge.until(lambda: edge.cleanup()['running'], SETTLE + 60, 'began no pass')
        begun = time.monotonic()
        edge.until(lambda: edge.cleanup()['passes'] > passes, 300, 'ended no pass')
        ended = time.monotonic()
        state = edge.cleanup()
        many = sum(len(values) > 1 for values in copies(gateways).values())
        time.sleep(10)
        pushers.stop()
        found = copies(gateways)
        lost = {group: (number, found.get(group)) for group, number in pushers.accepted.items() if max(found.get(group, [-1])) < number}
        if lost:
            print('lost: (group, (accepted, copies)):', list(lost.items())[:20], 'the change came with', pushers.changed, flush=True)
        return {'copies_after_pass': many, 'lost': len(lost), 'groups': len(pushers.accepted), 'failed_pushes': pushers.failed, 'pushes': len(pushers.rows),
                'seconds_to_none': ended - changed, 'pass_seconds': ended - begun, 'deleted': state['deleted'], 'left': state['last_pass']['left'],
                'bound_seconds': SETTLE + 2 * GROUPS / RATE + (ended - begun),
                'p99_ms': pushers.p99(begun, ended), 'p99_quiet_ms': pushers.p99(quiet, changed), 'p99_waiting_ms': pushers.p99(changed + 5, begun)}
    finally:
        if pushers:
            pushers.stop()
        for child in processes:
            child.stop()
