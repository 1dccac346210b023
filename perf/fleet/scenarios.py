"""What happens to a fleet, one thing after the other, and what each costs. Every scenario ends with all edges at rest and agreed."""
import os, statistics, sys, time

from cluster import Cluster, Observer
from edges import PORT, Configuration, Gateways, RealEdge, SimulatedEdges, address
from processes import Samples, longest, until

# The product's defaults, which the configuration leaves as they are.
SETTLE, ADMIT_AFTER = 1.0, 5.0
# A ring of a simulated edge has fewer points where thousands of them would be built on the same few cores at the same time.
POINTS = 10_000_000
BUSY = 0.8
# Edges of the first start, at most. The others follow in groups of so many: only the scenario of a start has all of them at once.
FIRST = 20
# The longest wait for a second copy, and longer than an edge waits until it reads the list after a change.
QUIET = 20
# Longer than the time between two readings of the list, and of the agent.
LONG = 370
# After the last new ring: the confirmations and the next polls are part of a change.
AFTER = 3.0


class Run:
    def __init__(self, args, folder, edges, gateways):
        self.args, self.count, self.gateway_count = args, edges, gateways
        self.joining = min(10, gateways)
        self.replicas = max(10, min(500, POINTS // (edges * gateways)))
        self.limit = 60 + edges * gateways / 500
        self.cluster = Cluster(folder, min(edges, args.agents), args.servers)
        self.configuration = Configuration(self.replicas)
        everything = gateways + self.joining + 1
        self.gateways = Gateways(folder, args.gateways, everything, edges + args.real)
        self.edges = SimulatedEdges(folder, args.fleet, self.configuration, edges, everything, self.cluster.agents, args.real)
        # The last one has the default number of points: its memory is that of a real edge.
        self.real = [RealEdge(folder, args.aot, index, self.configuration, self.edges.proxy(index), 500 if index == args.real - 1 else self.replicas)
                     for index in range(args.real)]
        self.samples, self.folder = None, folder
        self.agreed = self.before = None  # the ring of all: the last one, and that before the scenario

    # Parts of scenarios

    def say(self, text):
        print(f'{time.strftime("%H:%M:%S")}  {self.count}x{self.gateway_count}  {text}', flush=True)

    def stop(self):
        if self.samples:
            self.samples.stop()
        for real in self.real:
            real.stop()
        self.edges.end()
        self.cluster.stop()
        self.gateways.stop()

    def agree(self, members):
        """Waits until every edge has the same ring of so many."""
        def agreed():
            rings = self.edges.rings()
            if len(rings) != 1 or [count for _, count in rings] != [members]:
                return False
            (fingerprint, _), = rings
            self.agreed = fingerprint
            return all(real.ring() == (fingerprint, members) if real.replicas == self.replicas else real.ring()[1] == members for real in self.real)
        until(agreed, self.limit, lambda: f'one ring of {members} gateways: {self.edges.rings()}, real {[real.ring() for real in self.real]}', pause=0.25)

    def start_at_rest(self, name):
        """On a busy machine a check may fail because nothing responds in time; then the fleet is not what the scenario starts from."""
        if [fingerprint for fingerprint, _ in self.edges.rings()] != [self.agreed]:
            self.say(f'{name}: a ring changed by itself before it; waiting for the ring of before')
            until(lambda: [fingerprint for fingerprint, _ in self.edges.rings()] == [self.agreed], self.limit, 'the ring of before', pause=0.25)

    def disagreeing(self, edges):
        """Those that have another ring than most, when a change of some has had the time to reach all."""
        end = time.monotonic() + QUIET
        while (left := edges - max(self.edges.rings().values())) and time.monotonic() < end:
            time.sleep(0.5)
        return left

    def passing(self, count):
        """Waits until so many gateways pass in Consul."""
        until(lambda: len(self.cluster.rows()[1]) == count, self.limit, f'{count} gateways pass in Consul', pause=1)

    def last_failing(self, begun):
        """When not all gateways passed in Consul for the last time; known when they have for two rounds of checks. The servers may not have noticed yet."""
        found, end = begun, time.monotonic() + self.limit
        while time.time() - found < 12:
            if len(self.cluster.rows()[1]) < self.gateway_count:
                found = time.time()
            if time.monotonic() > end:
                sys.exit(f'{self.gateway_count} gateways do not pass in Consul')
            # The list is long where there are many, and reading it is work for the leader.
            time.sleep(max(0.25, self.gateway_count / 1000))
        return found

    def wait_for_quiet(self):
        """Second copies follow a start for some time. At rest, Consul's list keeps its index."""
        def unchanged():
            before = self.cluster.index()
            time.sleep(QUIET)
            return self.cluster.index() == before
        until(unchanged, self.limit + 120, 'the list stops changing', pause=0)

    def rest(self, seconds=AFTER):
        time.sleep(seconds)

    def last_change(self, since):
        """Of the simulated edges, and of the real ones."""
        simulated = [change['at'] for edge in self.edges.states(since) for change in edge['changes']]
        real = [change['at'] for edge in self.real for change in edge.changes(since)]
        return max(simulated, default=None), max(real, default=None)

    def measure(self, start, end, since=None, edges=None):
        """Requests begun and bytes received between two times, and the ring changes since the first of them; of all edges, or of so many that run."""
        edges = edges or self.count
        time.sleep(max(0, end - time.time()))
        since = since or start
        traffic, states = self.edges.traffic(start, end), self.edges.states(since)[:edges]
        changes = [replaced(edge['changes']) for edge in states]
        real = [replaced(edge.changes(since)) for edge in self.real]
        cpu = self.samples.between(start, end)
        servers = [name for name in cpu if name.startswith('server')]
        shares = {name: self.samples.shares(name, start, end) for name in servers}
        return {
            'seconds': end - start,
            'simulated': summary(traffic[:edges], changes),
            'real': summary(traffic[self.count:], real) if self.real else None,
            'disagreed': disagreement([edge['changes'] for edge in states], self.before),
            'disagreeing': self.disagreeing(edges),
            'servers_cpu': sum(cpu[name] for name in servers),
            'agents_cpu': cpu['agents'], 'edges_cpu': cpu['edges'], 'real_cpu': cpu['real'] / max(1, len(self.real)), 'gateways_cpu': cpu['gateways'],
            'busiest_server': max((max(each, default=0) for each in shares.values()), default=0),
            'busy_seconds': max(longest(each, BUSY) for each in shares.values()),
        }

    def turn(self, name, act, addresses, members, less):
        """A change of gateways: how long after Consul knew of it the last edge has its new ring."""
        self.start_at_rest(name)
        observer = Observer(self.cluster, addresses)
        begun = time.time()
        act()
        first, last = observer.wait(self.limit)
        self.agree(members)
        # An edge publishes its ring a moment before it writes down when.
        self.rest(0.5)
        until(lambda: self.last_change(begun)[0], self.limit, 'an edge with a new ring')
        self.agree(members)
        simulated, real = self.last_change(begun)
        found = self.measure(first - 0.05, max(simulated, real or 0) + AFTER, begun)
        found['time'], found['real_time'] = simulated - last - less, real - last - less if real else None
        found['between_checks'] = last - first
        # Each edge reads the list, and polls again.
        self.rest(QUIET)
        found['whole'] = self.measure(first - 0.05, time.time(), begun)
        self.say(f"{name}: last ring {found['time']:.2f} s after Consul knew, less {less:g} s; {found['simulated']['requests']:.1f} requests and "
                 f"{found['simulated']['bytes'] / 1024:,.0f} KiB per edge, {found['simulated']['changes_most']} ring changes at most")
        return found

    # Scenarios, in their order

    def begin(self):
        self.say(f'{self.args.servers} Consul servers, {len(self.cluster.agents)} agents, {self.gateway_count} gateways; {self.count} edges in {len(self.edges.programs)} '
                 f'processes and {len(self.real)} real ones; {self.replicas} points per gateway')
        self.gateways.start()
        self.cluster.start()
        self.edges.start_programs(range(self.gateway_count))
        for real in self.real:
            real.configure(range(self.gateway_count))
        groups = {f'server-{i}': lambda server=server: [server] for i, server in enumerate(self.cluster.servers)}
        self.samples = Samples({**groups, 'agents': lambda: self.cluster.agents, 'edges': lambda: self.edges.programs, 'real': lambda: self.real,
                                'gateways': lambda: self.gateways.programs})

    def start_edges(self, count=None):
        """All, or the first so many. (when they were started, when the last was ready)."""
        begun = time.time()
        for real in self.real:
            real.start()
        self.edges.start(count)
        def ready():
            return self.edges.ready() == (count or self.count) and all(real.ready_at() for real in self.real)
        until(ready, self.limit, 'all edges are ready')
        return begun, max(edge['ready'] for edge in self.edges.states(begun))

    def real_ready(self):
        return max(real.ready_at() for real in self.real)

    def first(self):
        """Nothing is registered yet. Each edge probes each gateway until something is, and reads lists that grow: this machine has room for only so many."""
        count = min(self.count, FIRST)
        begun, ready = self.start_edges(count)
        self.passing(self.gateway_count)
        passing = time.time()
        self.agree(self.gateway_count)
        self.rest()
        found = self.measure(begun, time.time(), edges=count)
        found.update(edges=count, time=ready - begun, real_time=self.real_ready() - begun if self.real else None, passing=passing - begun, rows=self.cluster.rows()[0], writes=sum(edge['writes'] for edge in self.edges.states(0)))
        self.wait_for_quiet()
        for running in range(count, self.count, FIRST):
            self.edges.start(min(running + FIRST, self.count))
            until(lambda: self.edges.ready() == min(running + FIRST, self.count), self.limit, 'the other edges are ready')
        self.agree(self.gateway_count)
        self.say(f"first start of {found['edges']} edges: ready after {found['time']:.1f} s, all gateways pass in Consul after {found['passing']:.1f} s; {found['writes']} writes, {found['rows']} rows")
        return found

    def quiet(self, seconds=None):
        self.wait_for_quiet()
        begun = time.time()
        self.rest(seconds or self.args.quiet)
        found = self.measure(begun, time.time())
        for key in ('simulated', 'real'):
            if found[key]:
                found[key].update({name: found[key][name] * 60 / found['seconds'] for name in ('requests', 'requests_most', 'bytes', 'bytes_most')})
        for key in ('servers_cpu', 'agents_cpu', 'real_cpu'):
            found[key] *= 60 / found['seconds']
        self.say(f"quiet: {found['simulated']['requests']:.1f} requests and {found['simulated']['bytes'] / 1024:,.1f} KiB per edge and minute; "
                 f"servers {found['servers_cpu']:.2f} core-seconds a minute")
        return found

    def long(self):
        """Long enough for what an edge does every five minutes. Copies that are too many after a first start go within a quarter of an hour."""
        until(lambda: self.cluster.most_copies() <= 2, 1200, 'no gateway has more than two copies', pause=10)
        return self.quiet(LONG)

    def dies(self):
        victim = self.gateway_count // 2
        return self.turn('one dies', lambda: self.gateways.tell('down', victim), [address(victim)], self.gateway_count - 1, SETTLE)

    def returns(self):
        victim = self.gateway_count // 2
        return self.turn('it returns', lambda: self.gateways.tell('up', victim), [address(victim)], self.gateway_count, SETTLE + ADMIT_AFTER)

    def join(self):
        """Gateways that something else registers, as a deployment of theirs does."""
        joining = [address(self.gateway_count + i) for i in range(self.joining)]
        pairs = [(self.cluster.agents[i % len(self.cluster.agents)], each) for i, each in enumerate(joining)]
        found = self.turn(f'{self.joining} join', lambda: [self.cluster.register(agent, each, PORT) for agent, each in pairs], joining,
                          self.gateway_count + self.joining, SETTLE + ADMIT_AFTER)
        for agent, each in pairs:
            self.cluster.deregister(agent, each, PORT)
        self.agree(self.gateway_count)
        self.rest()
        return found

    def restart(self, name, end):
        begun = time.time()
        for agent in self.cluster.agents:
            end(agent)
        for agent in self.cluster.agents:
            if agent.process.poll() is None:
                agent.process.wait(30)
        for agent in self.cluster.agents:
            agent.start()
        self.cluster.wait_for_agents()
        back = self.last_failing(begun)
        self.agree(self.gateway_count)
        found = self.measure(begun, time.time())
        found['time'] = back - begun
        self.say(f"{name}: all gateways pass again after {found['time']:.1f} s; {found['simulated']['requests']:.1f} requests per edge, "
                 f"{found['simulated']['changes_most']} ring changes at most, {found['real']['changes_most'] if found['real'] else 0} of real edges")
        return found

    def recover(self):
        """After a scenario that did not come to rest. False if the fleet still does not, and the next one would not know what it starts from."""
        try:
            self.passing(self.gateway_count)
            self.agree(self.gateway_count)
            self.wait_for_quiet()
        except SystemExit as end:
            if not isinstance(end.code, str):
                raise
            self.say(f'still not at rest: {end}')
            return False
        return True

    def agents(self):
        return self.restart('all agents restart (SIGTERM)', lambda agent: agent.signal())

    def killed(self):
        return self.restart('all agents are killed and restart', lambda agent: agent.kill())

    def leader(self):
        old = self.cluster.a_leader()
        begun = time.time()
        old.kill()
        until(self.cluster.leader, 90, 'a new leader')
        elected = time.time()
        self.rest(10)
        found = self.measure(begun, time.time())
        found['time'] = elected - begun
        old.start()
        until(self.cluster.leader, 90, 'the old leader is back')
        self.passing(self.gateway_count)
        self.agree(self.gateway_count)
        self.rest(5)
        self.say(f"the leader dies: a new one after {found['time']:.1f} s; {found['simulated']['requests']:.1f} requests per edge in {found['seconds']:.0f} s, "
                 f"{found['simulated']['changes_most']} ring changes at most")
        return found

    def start(self):
        """Everything else is well."""
        for real in self.real:
            real.stop()
        self.edges.stop()
        self.rest(5)
        begun, ready = self.start_edges()
        self.agree(self.gateway_count)
        self.rest(10)
        found = self.measure(begun, time.time())
        found.update(time=ready - begun, real_time=self.real_ready() - begun if self.real else None)
        self.say(f"all edges start: the last is ready after {found['time']:.2f} s, of the real ones after {found['real_time'] or 0:.2f} s; {found['simulated']['changes_most']} ring changes "
                 f"at most; busiest server {found['busiest_server']:.0%} of a core, {found['busy_seconds']} s in a row above {BUSY:.0%}")
        return found

    def roll(self, name, gateways, path):
        """Each edge after a pause."""
        self.edges.configure(gateways, path)
        pause = min(0.2, 20 / self.count)
        begun = time.time()
        for index in range(self.count):
            self.edges.apply(index, path)
            time.sleep(pause)
        for real in self.real:
            real.configure(gateways)
            real.reload()
        rolled = time.time()
        self.agree(len(gateways))
        self.rest()
        found = self.measure(begun, time.time())
        found.update(time=rolled - begun, writes=sum(edge['writes'] for edge in self.edges.states(0)))
        self.say(f"{name}: in {found['time']:.1f} s; disagreed for {found['disagreed']:.1f} s, {found['simulated']['changes_most']} ring changes at most, "
                 f"{found['simulated']['requests']:.1f} requests per edge")
        return found

    def rollout(self):
        return self.roll('a gateway more in the files, edge by edge', [*range(self.gateway_count), self.gateway_count + self.joining],
                         os.path.join(self.folder, 'edges-after.yml'))

    def rollback(self):
        return self.roll('a gateway less in the files, edge by edge', list(range(self.gateway_count)), self.edges.config)


SCENARIOS = {'first': 'first start, nothing is registered', 'quiet': 'nothing happens', 'long': 'nothing happens for longer', 'dies': 'a gateway dies', 'returns': 'it returns',
             'join': 'ten gateways join', 'agents': 'all agents restart', 'killed': 'all agents are killed and restart', 'leader': "Consul's leader is killed",
             'rollout': 'a gateway more in the files, edge by edge', 'rollback': 'a gateway less in the files, edge by edge', 'start': 'all edges start at once'}
# Without them, the next ones have no fleet, or another one than they know.
PAIRS = {'returns': 'dies', 'rollback': 'rollout'}


def run(args, folder, edges, gateways):
    """All scenarios at one size."""
    chosen = args.scenarios.split(',') if args.scenarios else [name for name in SCENARIOS if name != 'long' or (edges <= 10 and gateways >= 1000)]
    chosen = [name for name in SCENARIOS if name == 'first' or name in chosen or any(first == name and second in chosen for second, first in PAIRS.items())
              or (name in PAIRS and PAIRS[name] in chosen)]
    fleet = Run(args, folder, edges, gateways)
    begun = time.time()
    try:
        fleet.begin()
        found, unfinished, memory = {}, [], []
        for name in chosen:
            fleet.before = fleet.agreed
            try:
                found[name] = getattr(fleet, name)()
                for real in fleet.real[-1:]:
                    # As a Prometheus does it: the page with a series for every gateway is part of what an edge needs.
                    real.scrape()
                    memory.append(real.memory())
            except SystemExit as end:
                # A signal ends the run; without a first start there is no fleet.
                if not isinstance(end.code, str) or not found:
                    raise
                # What has been measured counts. Half of a pair leaves another fleet than the rest know.
                fleet.say(f'{name}: {end}')
                unfinished.append(name)
                found.pop(name, None)
                if name in PAIRS or name in PAIRS.values() or not fleet.recover():
                    break
    finally:
        fleet.stop()
    return {'edges': edges, 'gateways': gateways, 'agents': len(fleet.cluster.agents), 'servers': args.servers, 'processes': len(fleet.edges.programs),
            'replicas': fleet.replicas, 'unfinished': unfinished, 'joining': fleet.joining, 'seconds': time.time() - begun, 'scenarios': found,
            'memory': memory and {'resident': max(resident for resident, _ in memory), 'peak': max(peak for _, peak in memory)}}


def summary(traffic, changes):
    """Of edges: means, and the most of one."""
    requests = [sum(edge['requests'].values()) for edge in traffic]
    volume = [edge['sent'] + edge['received'] for edge in traffic]
    kinds = sorted({kind for edge in traffic for kind in edge['requests']})
    return {'requests': statistics.mean(requests), 'requests_most': max(requests), 'bytes': statistics.mean(volume), 'bytes_most': max(volume),
            'kinds': {kind: statistics.mean(edge['requests'].get(kind, 0) for edge in traffic) for kind in kinds},
            'failed': statistics.mean(edge['failed'] for edge in traffic), 'changes': statistics.mean(map(len, changes)), 'changes_most': max(map(len, changes)),
            'causes': sorted({change['cause'] for edge in changes for change in edge}),
            'build_ms': 1000 * statistics.median([change['build'] for edge in changes for change in edge] or [0])}


def replaced(changes):
    """Without the first ring of the process, which replaces none."""
    return [change for change in changes if change['cause'] != 'start']


def disagreement(edges, before):
    """Seconds in which not all edges had the same ring, from their changes. `before`: the ring of those that did not start in this time."""
    current = [next((change['fingerprint'] for change in changes if change['cause'] == 'start'), before) for changes in edges]
    events = sorted((change['at'], index, change['fingerprint']) for index, changes in enumerate(edges) for change in replaced(changes))
    total, since = 0.0, None
    for at, index, fingerprint in events:
        current[index] = fingerprint
        agreed = len(set(current)) == 1
        if not agreed and since is None:
            since = at
        elif agreed and since is not None:
            total, since = total + at - since, None
    return total
