"""How long the published binary takes for a ring: gateways of a file, one less and one more with each reload. The process is compiled ahead of
time, so the second ring is as warm as the hundredth."""
import os, statistics

from edges import Configuration, RealEdge
from processes import until


class StaticConfiguration(Configuration):
    """No Consul and no probes: nothing else runs meanwhile."""

    def text(self, gateways, listen, admin, consul, replicas):
        servers = '\n'.join(f'    - 10.{index // 62500}.{index // 250 % 250}.{1 + index % 250}:9091' for index in gateways)
        return (f'http_listen_addr: {listen}\nadmin_listen_addr: {admin}\nsharding: {{ replicas: {replicas} }}\nlog: {{ format: json }}\n'
                f'shutdown: {{ drain_delay: 0s, timeout: 1s }}\npushgateway:\n  health_check: {{ enabled: false }}\n  servers:\n{servers}\n')


def measure(args, folder, counts, rounds):
    """By number of gateways: milliseconds, and MiB resident."""
    found = {}
    for count in counts:
        edge = RealEdge(os.path.join(folder, str(count)), args.aot, 0, StaticConfiguration(500), '', 500)
        edge.configure(range(count))
        edge.start()
        try:
            until(edge.ready_at, 60, 'the edge is ready')
            for number in range(rounds):
                members = count - 1 + number % 2
                edge.configure(range(members))
                edge.reload()
                until(lambda: edge.ring()[1] == members, 60, f'a ring of {members}')
            builds = [1000 * change['build'] for change in edge.changes(0)][1:]
            resident, peak = edge.memory()
        finally:
            edge.stop()
        found[count] = {'median_ms': statistics.median(builds), 'most_ms': max(builds), 'rings': len(builds), 'resident': resident, 'peak': peak}
        print(f"ring of {count:,} gateways: {found[count]['median_ms']:.1f} ms, at most {found[count]['most_ms']:.1f} ms; {resident:.0f} MiB resident", flush=True)
    return found
