"""One pass over many gateways, served by one process that speaks Pushgateway's JSON."""
import json, os, subprocess, time

from process import Edge, Process, configure, free_port

HERE = os.path.dirname(os.path.abspath(__file__))


def run(args, folder):
    port, admin = free_port(), free_port()
    gateways = Process(['dotnet', args.gateways, str(port), str(args.count), str(args.groups)], os.path.join(folder, 'gateways.log'), stdout=subprocess.PIPE, text=True)
    edge = None
    try:
        ready = gateways.process.stdout.readline().split()
        if ready[:1] != ['READY']:
            gateways.fail('the gateways did not start')
        names = ', '.join(f'"127.0.1.{i}:{port}"' for i in range(1, args.count + 1))
        edge = Edge(args.aot, configure(os.path.join(HERE, 'pass.yml'), os.path.join(folder, 'pass.yml'), PORT=free_port(), ADMIN=admin, GATEWAYS=names),
                    os.path.join(folder, 'edge.log'), admin)
        edge.wait(lambda: edge.cleanup()['running'], 60, 'began no pass')
        edge.forget_peak()
        before, cpu, theirs, most = edge.memory(), edge.cpu(), gateways.cpu(), 0
        begun = shown = time.monotonic()
        while (state := edge.cleanup())['running'] or not state['passes']:
            most = max(most, edge.memory('VmHWM'))
            if time.monotonic() - shown > 5:
                shown = time.monotonic()
                print(f'pass: {shown - begun:.0f} s, {most:.1f} MiB resident', flush=True)
            time.sleep(0.1)
        took, most = time.monotonic() - begun, max(most, edge.memory('VmHWM'))
        cpu, theirs = edge.cpu() - cpu, gateways.cpu() - theirs
        if state['failed_passes']:
            edge.fail('the pass failed')
    finally:
        if edge:
            edge.stop()
        gateways.process.terminate()
        end = gateways.process.stdout.read().strip().splitlines()
        gateways.stop()
    return {'left': state['last_pass']['left'], 'gateways': args.count, 'groups': args.groups, 'stale': int(ready[1]), 'seconds': took, 'cpu': cpu, 'gateways_cpu': theirs, 'before_mib': before,
            'most_mib': most, **json.loads(end[-1])}
