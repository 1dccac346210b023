"""One pass over many gateways, served by one process that speaks Pushgateway's JSON."""
import json, subprocess, time

from edge import Edge, free_port, listed, process


def run(folder, args):
    port, edge = free_port(), None
    gateways = process(folder, 'gateways', ['dotnet', args.gateways, str(port), str(args.count), str(args.groups)], stdout=subprocess.PIPE, text=True)
    try:
        ready = gateways.process.stdout.readline().split()
        if ready[:1] != ['READY']:
            gateways.fail('did not start')
        edge = Edge(folder, args.aot, 'pass.yml', PORT=free_port(), GATEWAYS=listed(f'127.0.1.{i}:{port}' for i in range(1, args.count + 1)))
        edge.until(lambda: edge.cleanup()['running'], 60, 'began no pass')
        edge.forget_peak()
        before, cpu, theirs = edge.rss() / 1024, edge.cpu(), gateways.cpu()
        begun = shown = time.monotonic()
        while (state := edge.cleanup())['running'] or not state['passes']:
            if time.monotonic() - shown > 5:
                shown = time.monotonic()
                print(f'pass: {shown - begun:.0f} s, {edge.peak():.1f} MiB resident', flush=True)
            time.sleep(0.1)
        row = {'gateways': args.count, 'groups': args.groups, 'stale': int(ready[1]), 'seconds': time.monotonic() - begun, 'before_mib': before,
               'most_mib': edge.peak(), 'cpu': edge.cpu() - cpu, 'gateways_cpu': gateways.cpu() - theirs, 'left': state['last_pass']['left']}
        if state['failed_passes']:
            edge.fail('failed its pass')
    finally:
        if edge:
            edge.stop()
        gateways.process.terminate()
        end = gateways.process.stdout.read().strip().splitlines()
        gateways.stop()
    return {**row, **json.loads(end[-1])}
