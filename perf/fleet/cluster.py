"""A Consul cluster on loopback addresses: three servers and some client agents, all real, with Consul's default timing."""
import collections, json, os, threading, time, urllib.parse

from processes import Program, request, until

SERVICE = 'pushgateway'
CHECK = {'Interval': '5s', 'Timeout': '2s', 'FailuresBeforeCritical': 2, 'SuccessBeforePassing': 1}


class Agent(Program):
    def __init__(self, folder, name, host, join, servers=0):
        command = ['consul', 'agent', f'-node={name}', f'-bind={host}', f'-client={host}', '-log-level=warn', '-dns-port=-1', '-grpc-port=-1', '-serf-wan-port=-1',
                   f'-data-dir={folder}/{name}', '-hcl', 'disable_update_check = true', '-hcl', 'retry_interval = "1s"', *(f'-retry-join={address}' for address in join)]
        if servers:
            command += ['-server', f'-bootstrap-expect={servers}']
        environment = {key: value for key, value in os.environ.items() if not key.startswith('CONSUL_')}
        super().__init__(name, folder, command, env=environment)
        self.host, self.http = host, f'{host}:8500'

    def get(self, path, timeout=15):
        return request(self.http, path, timeout=timeout)[0]


class Cluster:
    def __init__(self, folder, agents, servers=3):
        hosts = [f'127.20.0.{i + 1}' for i in range(servers)]
        self.servers = [Agent(folder, f'server-{i}', host, hosts, servers) for i, host in enumerate(hosts)]
        self.agents = [Agent(folder, f'agent-{i}', f'127.20.{1 + i // 250}.{1 + i % 250}', hosts) for i in range(agents)]

    def start(self):
        for server in self.servers:
            server.start()
        until(self.leader, 60, 'a leader')
        for agent in self.agents:
            agent.start()
        self.wait_for_agents()

    def wait_for_agents(self):
        names = {agent.name for agent in self.agents}
        until(lambda: names <= {node['Node'] for node in self.a_leader().get('/v1/catalog/nodes')}, 120, 'all agents in the catalog')
        for agent in self.agents:
            until(lambda agent=agent: agent.get('/v1/status/leader'), 60, f'{agent.name} responds')

    def leader(self):
        """The server that leads, as those that run agree; None while there is none."""
        running = [server for server in self.servers if server.runs]
        named = {server.get('/v1/status/leader').split(':')[0] for server in running}
        return next((server for server in running if named == {server.host}), None)

    def a_leader(self):
        return until(self.leader, 60, 'a leader')

    def rows(self):
        """Of the service, all nodes together; and the gateways of which some row passes."""
        rows = self.a_leader().get(f'/v1/health/service/{SERVICE}', timeout=60)
        return len(rows), {row['Service']['Address'] for row in rows if passes(row)}

    def most_copies(self):
        """Rows of one gateway."""
        rows = self.a_leader().get(f'/v1/health/service/{SERVICE}', timeout=60)
        return max(collections.Counter(row['Service']['Address'] for row in rows).values())

    def index(self):
        """Of the service's list, which no other service and no output of a check moves."""
        nothing = urllib.parse.quote('Service.ID == "" and Service.ID != ""')
        return int(request(self.a_leader().http, f'/v1/health/service/{SERVICE}?filter={nothing}', timeout=15)[1]['X-Consul-Index'])

    def register(self, agent, address, port):
        body = {'ID': f'{address}_{port}', 'Name': SERVICE, 'Address': address, 'Port': port, 'Check': {'HTTP': f'http://{address}:{port}/-/healthy', **CHECK}}
        request(agent.http, '/v1/agent/service/register', 'PUT', json.dumps(body))

    def deregister(self, agent, address, port):
        request(agent.http, f'/v1/agent/service/deregister/{address}_{port}', 'PUT')

    def stop(self):
        for program in (*self.agents, *self.servers):
            program.kill()


def passes(row):
    return all(check['Status'] == 'passing' for check in row['Checks'] if check['ServiceID'])


class Observer:
    """What the leader knows of some gateways, and since when: a blocking query of its own, straight to that server."""

    def __init__(self, cluster, addresses):
        self.leader, self.addresses, self.ended = cluster.a_leader(), addresses, False
        self.first, self.last = {}, {}  # times by address: some row has another status than at first; all have
        wanted = ' or '.join(f'Service.Address == "{address}"' for address in addresses)
        self.path = f'/v1/health/service/{SERVICE}?stale&filter={urllib.parse.quote(wanted)}'
        self.begun = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.begun.wait(30)

    def run(self):
        index, before = 0, None
        while not self.ended:
            try:
                rows, fields = request(self.leader.http, f'{self.path}&index={index}&wait=20s', timeout=60)
            except OSError:
                index = 0
                time.sleep(0.1)
                continue
            now, index = time.time(), int(fields['X-Consul-Index'])
            statuses = {address: [passes(row) for row in rows if row['Service']['Address'] == address] for address in self.addresses}
            if before is None:
                before = {address: any(found) for address, found in statuses.items()}
                self.begun.set()
            for address, found in statuses.items():
                if found and any(passing != before[address] for passing in found):
                    self.first.setdefault(address, now)
                # A gateway is well as soon as one of its agents says so, and dead when all of them do.
                if found and any(found) != before[address]:
                    self.last.setdefault(address, now)

    def wait(self, seconds):
        """(when the first row turned, when the last gateway had)."""
        until(lambda: len(self.last) == len(self.addresses), seconds, f'Consul knows of {len(self.addresses)} gateways')
        self.ended = True
        return min(self.first.values()), max(self.last.values())
