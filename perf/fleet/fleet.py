#!/usr/bin/env python3
"""A fleet of edges and gateways around a real Consul cluster: what a change of the ring costs, how long edges disagree, and whether a restart of
everything is a herd. Called by run.sh, which installs and builds what it needs. A scenario replaces its figures in OUT/results.json; the tables,
the picture and the document are written from what is there."""
import argparse, json, os, resource, shutil, signal, sys, tempfile, time

import endpoints, report, rings, scenarios

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument('--sizes', default='10x10,100x100,10x1000,300x100,300x300,100x1000', help="edges x gateways, separated by commas; '' measures no fleet")
    parser.add_argument('--scenarios', default='', help=f"some of {','.join(scenarios.SCENARIOS)}; the first start always happens")
    parser.add_argument('--quiet', type=float, default=60, help='seconds of the quiet time')
    parser.add_argument('--agents', type=int, default=10, help="Consul's client agents, over which the edges are spread; no more than edges")
    parser.add_argument('--servers', type=int, default=3, help="Consul's servers")
    parser.add_argument('--real', type=int, default=2, help='processes of the published binary beside the simulated edges')
    parser.add_argument('--rings', default='1000,10000', help="also measure the build of rings of so many gateways, separated by commas; '' measures none")
    parser.add_argument('--rows', default='200,2000', help="also measure one request for a list of so many rows, separated by commas; '' measures none")
    parser.add_argument('--rounds', type=int, default=21, help='rings of each number')
    parser.add_argument('--write', help='a Markdown file with the marks of the measured part, docs/scale.md; the picture goes to images beside it')
    parser.add_argument('--keep', action='store_true', help="keep the processes' logs")
    for name in ('fleet', 'aot', 'gateways', 'out'):
        parser.add_argument(f'--{name}', required=True)
    args = parser.parse_args()
    args.sizes = [tuple(map(int, size.split('x'))) for size in args.sizes.split(',') if size]
    args.rows = [int(count) for count in args.rows.split(',') if count]
    args.rings = [int(count) for count in args.rings.split(',') if count]
    return args


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.makedirs(args.out, exist_ok=True)
    store = os.path.join(args.out, 'results.json')
    data = json.load(open(store)) if os.path.exists(store) else {'sizes': {}}

    def measured(work):
        folder = tempfile.mkdtemp(prefix='dynamic-sharding-fleet-')
        try:
            work(folder)
        finally:
            if args.keep:
                print('logs:', folder)
            else:
                shutil.rmtree(folder, ignore_errors=True)
        data.update(date=time.strftime('%Y-%m-%d', time.gmtime()), machine=report.machine())
        with open(store, 'w') as file:
            json.dump(data, file, indent=1)

    def size(edges, gateways):
        def work(folder):
            found, before = scenarios.run(args, folder, edges, gateways), data['sizes'].get(f'{edges}x{gateways}')
            if before:
                found['scenarios'] = {**before['scenarios'], **found['scenarios']}
                found['unfinished'] = [name for name in {**dict.fromkeys(before['unfinished']), **dict.fromkeys(found['unfinished'])} if name not in found['scenarios']]
                found['seconds'] += before['seconds']
            data['sizes'][f'{edges}x{gateways}'] = found
        return work

    for edges, gateways in args.sizes:
        measured(size(edges, gateways))
    if args.rings:
        measured(lambda folder: data.update(rings={str(count): each for count, each in rings.measure(args, folder, args.rings, args.rounds).items()}))
    if args.rows:
        measured(lambda folder: data.update(endpoints={str(count): each for count, each in endpoints.measure(folder, args.rows, args.servers).items()}))
    image = os.path.join(os.path.dirname(os.path.abspath(args.write)) if args.write else args.out, 'images', 'scale.svg')
    report.write_image(data, image)
    print(report.sections(data, image))
    if args.write:
        report.write_document(data, args.write, image)
    unfinished = [f'{edges}x{gateways}: {name}' for edges, gateways in args.sizes for name in data['sizes'][f'{edges}x{gateways}']['unfinished']]
    if unfinished:
        sys.exit(f"not measured to the end: {', '.join(unfinished)}")


if __name__ == '__main__':
    main()
