#!/usr/bin/env python3
"""Redirects of two builds of this program, interleaved: CPU per push of the one after a change to the one before it. The first runs twice, as
itself and as the control: how far these two are apart is the noise. Exit code 1 if a median is above the larger of 1.02 and the noise.

    perf/compare/pair.py BEFORE AFTER [--rounds 7] [--seconds 3]      two NativeAOT binaries
"""
import argparse, shutil, statistics, sys, tempfile
from types import SimpleNamespace

from servers import Server
from throughput import WORKLOADS, load


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('before')
    parser.add_argument('after')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--seconds', type=int, default=3)
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix='dynamic-sharding-pair-')
    servers, worse = {}, False
    try:
        for name, binary in (('before', args.before), ('control', args.before), ('after', args.after)):
            servers[name] = Server('aot', folder, SimpleNamespace(aot=binary))
            servers[name].wait()
        for workload in WORKLOADS:
            ratios = {'control': [], 'after': []}
            for number in range(args.rounds + 1):
                # Round 0 warms up; the order turns with every round.
                names = list(servers)
                turn = number % len(names)
                cpu = {name: load(servers[name], workload, args.seconds if number else 2)['cpu_us'] for name in names[turn:] + names[:turn]}
                for name in ratios if number else ():
                    ratios[name].append(cpu[name] / cpu['before'])
            bound = max(1.02, max(ratios['control']))
            median = statistics.median(ratios['after'])
            worse |= median > bound
            print(f"{workload}: {median:.3f} ({min(ratios['after']):.3f} to {max(ratios['after']):.3f}), itself {statistics.median(ratios['control']):.3f} "
                  f"({min(ratios['control']):.3f} to {max(ratios['control']):.3f}) {'WORSE' if median > bound else 'ok'}", flush=True)
    finally:
        for server in servers.values():
            server.stop()
        shutil.rmtree(folder)
    return worse


if __name__ == '__main__':
    sys.exit(main())
