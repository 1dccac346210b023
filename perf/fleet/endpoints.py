"""What one request for the list costs an agent and the servers, and how large its response is: with Consul's ways to make it smaller."""
import http.client, json, os, time, urllib.parse

from cluster import SERVICE, Cluster
from processes import request, until

FAILING = 'Checks.Status == "critical" or Checks.Status == "warning"'
NOTHING = 'Service.ID == "" and Service.ID != ""'
PLAIN = 'the list, without gzip'
VARIANTS = {'the list': '', PLAIN: '', 'the list, `near=_agent`': '&near=_agent', 'the list, `cached`': '&cached',
            'rows that fail (`filter`), none does': '&filter=' + urllib.parse.quote(FAILING), 'no rows (`filter`)': '&filter=' + urllib.parse.quote(NOTHING)}
SECONDS = 4


def register(server, index):
    """A row as this program's, written to the catalog: nothing checks it."""
    address = f'10.{index // 62500}.{index // 250 % 250}.{1 + index % 250}'
    service = f'{address}_9091'
    check = {'Node': f'node-{index % 10}', 'CheckID': f'service:{service}', 'Name': f'pushgateway {address}:9091', 'Status': 'passing', 'ServiceID': service,
             'Output': f'HTTP GET http://{address}:9091/-/healthy: 200 OK Output: OK'}
    body = {'Node': f'node-{index % 10}', 'Address': f'10.200.0.{index % 10}', 'Service': {'ID': service, 'Service': SERVICE, 'Address': address, 'Port': 9091,
            'Meta': {'managed-by': 'dynamic-sharding', 'dynamic-sharding-digest': f'{index:016x}'}}, 'Checks': [check]}
    request(server.http, '/v1/catalog/register', 'PUT', json.dumps(body))


def exchange(connection, path, coding):
    """The bytes of a response on a kept connection."""
    connection.request('GET', path, headers={'Accept-Encoding': coding})
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise OSError(f'{path}: {response.status}')
    return len(content) + sum(len(name) + len(value) + 4 for name, value in response.headers.items()) + 17


def measure(folder, counts, servers):
    """By number of rows, by variant: bytes, and milliseconds of CPU of all servers and of the agent."""
    found = {}
    for count in counts:
        cluster = Cluster(os.path.join(folder, str(count)), 1, servers)
        try:
            cluster.start()
            leader, agent = cluster.a_leader(), cluster.agents[0]
            for index in range(count):
                register(leader, index)
            until(lambda: len(agent.get(f'/v1/health/service/{SERVICE}?stale')) == count, 60, f'{count} rows')
            connection = http.client.HTTPConnection(agent.http, timeout=30)
            found[count] = {}
            for name, suffix in VARIANTS.items():
                path = f'/v1/health/service/{SERVICE}?stale{suffix}' if 'cached' not in suffix else f'/v1/health/service/{SERVICE}?cached'
                coding = 'identity' if name == PLAIN else 'gzip'
                exchange(connection, path, coding)
                before, begun, requests = (sum(each.cpu() for each in cluster.servers), agent.cpu()), time.monotonic(), 0
                while time.monotonic() - begun < SECONDS:
                    size = exchange(connection, path, coding)
                    requests += 1
                found[count][name] = {'bytes': size, 'servers_ms': 1000 * (sum(each.cpu() for each in cluster.servers) - before[0]) / requests,
                                      'agent_ms': 1000 * (agent.cpu() - before[1]) / requests, 'requests': requests}
                print(f"{count:,} rows, {name}: {size:,} bytes, {found[count][name]['servers_ms']:.2f} ms of the servers, {found[count][name]['agent_ms']:.2f} ms of the agent", flush=True)
            connection.close()
        finally:
            cluster.stop()
    return found
