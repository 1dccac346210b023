"""The gateways, the simulated edges and the real ones: processes, and what is asked of them."""
import json, os, re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from processes import Conversation, Program, request

PORT = 9091
# Of the machine's descriptors for one process, a part: at its start an edge probes every gateway and keeps the connections for a minute.
CONNECTIONS = 14_000


def address(index):
    return f'127.10.{index // 250}.{1 + index % 250}'


class Gateways:
    def __init__(self, folder, binary, count, edges):
        size = max(1, min(count, CONNECTIONS // max(1, edges)))
        self.firsts = list(range(0, count, size))
        self.programs = [Conversation(f'gateways-{first}', folder, [binary, str(PORT), str(first), str(min(size, count - first))]) for first in self.firsts]
        self.size = size

    def start(self):
        for program in self.programs:
            program.start()

    def tell(self, command, index):
        self.programs[index // self.size].say(f'{command} {index}')

    def stop(self):
        for program in self.programs:
            program.stop()


class Configuration:
    """One file for all, but for the addresses of each."""

    def __init__(self, replicas):
        self.replicas = replicas

    def text(self, gateways, listen='127.0.0.1:9292', admin='127.0.0.1:9293', consul='127.0.0.1:8500', replicas=None):
        servers = '\n'.join(f'    - {address(index)}' for index in gateways)
        return (f'http_listen_addr: {listen}\nadmin_listen_addr: {admin}\nconsul_server: {{ addr: "{consul}" }}\n'
                f'sharding: {{ replicas: {replicas or self.replicas} }}\nlog: {{ format: json }}\nshutdown: {{ drain_delay: 0s, timeout: 1s }}\n'
                f'pushgateway:\n  servers:\n{servers}\n')


class SimulatedEdges:
    """Over as many processes as their connections need. The proxies of the real edges are in one of their own, which does not wait for the others."""

    def __init__(self, folder, binary, configuration, count, gateways, agents, real):
        self.folder, self.configuration, self.count = folder, configuration, count
        size = max(1, min(count, CONNECTIONS // (gateways + 10)))
        endpoint = lambda index: {'id': index, 'listen': f'127.30.{index // 250}.{1 + index % 250}:8500', 'agent': agents[index % len(agents)].http}
        self.config = os.path.join(folder, 'edges.yml')
        self.parts = [range(first, min(first + size, count)) for first in range(0, count, size)]
        self.size = size

        def program(name, edges, proxies, nice):
            settings = os.path.join(folder, f'{name}.json')
            with open(settings, 'w') as file:
                json.dump({'config': self.config, 'edges': [*map(endpoint, edges)], 'proxies': [*map(endpoint, proxies)]}, file)
            return Conversation(name, folder, ['dotnet', binary, settings], nice)

        self.programs = [program(f'edges-{part[0]}', part, [], 10) for part in self.parts]
        if real:
            self.programs.append(program('proxies', [], range(count, count + real), 0))
            self.parts.append(range(count, count))
        self.proxy = lambda index: endpoint(count + index)['listen']
        self.pool = ThreadPoolExecutor(len(self.programs))

    def start_programs(self, gateways):
        self.configure(gateways)
        for program in self.programs:
            program.start()

    def configure(self, gateways, path=None):
        with open(path or self.config, 'w') as file:
            file.write(self.configuration.text(gateways))

    def ask(self, command, programs=slice(None), **values):
        return list(self.pool.map(lambda program: json.loads(program.say(json.dumps({'command': command, **values}))), self.programs[programs]))

    def start(self, count=None):
        """At once, all that do not run, or those of the first so many."""
        upto = self.count if count is None else count
        say = lambda program, part: program.say(json.dumps({'command': 'start', 'edges': list(range(max(0, min(len(part), upto - part.start))))}))
        list(self.pool.map(say, self.programs, self.parts))

    def stop(self):
        self.ask('stop')

    def apply(self, index, path):
        self.programs[index // self.size].say(json.dumps({'command': 'apply', 'edges': [index % self.size], 'config': path}))

    def rings(self):
        """(fingerprint, members) to the number of edges."""
        found = {}
        for ring in (ring for part in self.ask('rings') for ring in part):
            found[ring['fingerprint'], ring['members']] = found.get((ring['fingerprint'], ring['members']), 0) + ring['edges']
        return found

    def ready(self):
        """How many edges are."""
        return sum(ring['ready'] for part in self.ask('rings') for ring in part)

    def states(self, since):
        return [edge for part in self.ask('state', **{'from': since}) for edge in part]

    def traffic(self, start, end):
        """By edge; those after the simulated ones are the real ones'."""
        return sorted((edge for part in self.ask('traffic', **{'from': start, 'to': end}) for edge in part), key=lambda edge: edge['id'])

    def end(self):
        for program in self.programs:
            program.stop()
        self.pool.shutdown()


class RealEdge(Program):
    """The published binary, with all its listeners. What it does is in its log, so that nobody has to ask it."""

    def __init__(self, folder, binary, index, configuration, consul, replicas):
        self.configuration, self.consul, self.replicas = configuration, consul, replicas
        self.path = os.path.join(folder, f'real-{index}.yml')
        self.listen, self.admin = f'127.40.0.{index + 1}:9292', f'127.40.0.{index + 1}:9293'
        super().__init__(f'real-{index}', folder, [binary, '--config.file', self.path])
        self.begun, self.sizes = 0, {}

    def configure(self, gateways):
        with open(self.path, 'w') as file:
            file.write(self.configuration.text(gateways, self.listen, self.admin, self.consul, self.replicas))

    def start(self):
        self.begun = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        return super().start()

    def events(self, message):
        """Since its last start, oldest first."""
        self.check()
        with open(self.log_path, 'rb') as log:
            log.seek(self.begun)
            lines = [line for line in log if line.endswith(b'\n') and line.startswith(b'{')]
        return [{**line, 'at': seconds(line['ts'])} for line in map(json.loads, lines) if line['msg'] == message]

    def ready_at(self):
        """None before."""
        return next((event['at'] for event in self.events('ready')), None)

    def reload(self):
        request(self.admin, '/-/reload', 'POST', timeout=30)

    def scrape(self):
        """(fingerprint, members) of its ring."""
        page = request(self.admin, '/metrics', timeout=30)[0]
        return (re.search(r'^dynamic_sharding_ring_info\{[^}]*fingerprint="([^"]*)"', page, re.M).group(1),
                int(re.search(r'^dynamic_sharding_ring_members (\d+)', page, re.M).group(1)))

    def changes(self, since):
        """Oldest first."""
        return [{'at': event['at'], 'cause': event['cause'], 'fingerprint': event['fingerprint'], 'build': event['build_ms'] / 1000}
                for event in self.events('ring changed') if event['at'] >= since]

    def ring(self):
        """The log cuts long lists off, so the members of a new ring are read from its metrics, once."""
        last = self.changes(0)[-1:]
        if not last:
            return None, 0
        fingerprint = last[0]['fingerprint']
        if fingerprint not in self.sizes:
            scraped, members = self.scrape()
            self.sizes[scraped] = members
        return fingerprint, self.sizes.get(fingerprint, 0)


def seconds(text):
    return datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp()
