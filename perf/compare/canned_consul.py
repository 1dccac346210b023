"""
Answers as a Consul agent does for a service of 1,000 healthy instances in about 3 MB; each SIGHUP turns one of them critical or healthy again. Prints its
address. Both answers are made ahead, so that giving one costs little more than its bytes.
"""
import asyncio, json, re, signal

GATEWAYS = [f'127.1.{i // 250}.{i % 250 + 1}' for i in range(1000)]


def row(host, status='passing'):
    service = f'pushgateway-{host}'
    check = lambda check_id, state, of: {'Node': 'canned', 'CheckID': check_id, 'Name': 'up', 'Status': state, 'Output': 'said ' + state, 'ServiceID': of}
    # About as long as the rows of a fleet that keeps notes about its nodes.
    return {'Node': {'ID': '', 'Node': 'canned', 'Address': '127.0.0.1', 'Meta': {'notes': 'n' * 2500}},
            'Service': {'ID': service, 'Service': 'pushgateway', 'Tags': [], 'Address': host, 'Port': 9091, 'Meta': None},
            'Checks': [check('serfHealth', 'passing', ''), check('service:' + service, status, service)]}


BODIES = [json.dumps([row(host) for host in GATEWAYS[:-1]] + [row(GATEWAYS[-1], status)]).encode() for status in ('passing', 'critical')]
index = 10
changed = asyncio.Event()


def change():
    global index, changed
    index += 1
    changed.set()
    changed = asyncio.Event()


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b'\r\n\r\n')).decode()
            asked = re.search(r'[?&]index=(\d+)', head)
            if asked and int(asked.group(1)) == index:
                await changed.wait()
            body = BODIES[index % 2] if '/health/service/' in head else b'{}'
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Consul-Index: %d\r\nX-Consul-KnownLeader: true\r\n'
                         b'X-Consul-LastContact: 0\r\nContent-Length: %d\r\n\r\n' % (index, len(body)) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, change)
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    print('%s:%d' % server.sockets[0].getsockname()[:2], flush=True)
    await server.serve_forever()


asyncio.run(main())
