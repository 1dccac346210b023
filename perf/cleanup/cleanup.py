#!/usr/bin/env python3
"""What cleanup costs: a pass over many gateways, and three gateways that become four under load. Called by run.sh, which installs and builds what it
needs. A part replaces its figures in OUT/cleanup.json; the section of docs/performance.md is written from what is there."""
import argparse, os, platform, re, time

# They know the folder of parts, which is beside this one.
import large_pass, scale_out
from parts import add_options, measure, write

PARTS = {'pass': large_pass.run, 'scale-out': scale_out.run}
FLOOR_MS = 20


def machine():
    model = re.search(r'model name\s*: (.*)', open('/proc/cpuinfo').read())
    return f'{model.group(1).strip() if model else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release().split("-")[0]}, {time.strftime("%Y-%m-%d", time.gmtime())}'


def fragment(data):
    lines = ['## Cleanup', '', f"By `perf/cleanup/run.sh`. {data['machine']}; NativeAOT build; gateways, load and edge share the cores.", '']
    if row := data.get('pass'):
        lines += [f"**A pass over {row['gateways']} gateways with {row['groups']:,} groups each**, a program that serves Pushgateway's JSON "
                  f"({row['bytes'] / 1e6:,.0f} MB in all readings). The last gateway has just joined, so that {row['stale']:,} copies are stale.", '',
                  '| | |', '|---|---|',
                  f"| time, with the 30 s between the readings | {row['seconds']:.0f} s |",
                  f"| CPU of the edge | {row['cpu']:.1f} s |",
                  f"| CPU of the gateways | {row['gateways_cpu']:.1f} s |",
                  f"| resident memory of the edge before, and at most | {row['before_mib']:.1f} MiB, {row['most_mib']:.1f} MiB |",
                  f"| stale copies deleted, left; newest copies deleted | {row['stale_deleted']:,}, {row['stale_left']:,}; {row['newest_deleted']} |", '']
    if row := data.get('scale-out'):
        ratio = row['p99_ms'] / row['p99_quiet_ms']
        lines += [f"**Three Pushgateways become four** while {scale_out.GROUPS:,} groups are pushed at {scale_out.RATE} pushes/s through the forward listener, "
                  f"`cleanup.settle: {scale_out.SETTLE}s`.", '',
                  '| | bound | measured |', '|---|---|---|',
                  f"| groups on more than one gateway, after | | {row['copies_after_pass']} of {row['groups']:,}; {row['deleted']['stale']:,} copies deleted |",
                  f"| from the change to that | settle + 2 push intervals + a pass: {row['bound_seconds']:.0f} s | {row['seconds_to_none']:.0f} s |",
                  f"| newest copies lost | 0 | {row['lost']} |",
                  f"| pushes that failed | 0 | {row['failed_pushes']} of {row['pushes']:,} |",
                  f"| p99 of pushes during the pass | 1.1 × {row['p99_quiet_ms']:.1f} ms (before the change), or {FLOOR_MS} ms if that is more | {row['p99_ms']:.1f} ms ({ratio:.2f}) |", '']
    return '\n'.join(lines).rstrip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--aot', required=True)
    parser.add_argument('--gateways', required=True)
    add_options(parser, PARTS)
    parser.add_argument('--count', type=int, default=100, help='gateways of the pass')
    parser.add_argument('--groups', type=int, default=10_000, help='groups on each of them')
    args = parser.parse_args()
    text = fragment(measure(PARTS, args, 'cleanup', machine))
    print(text)
    if args.write:
        write(text, 'cleanup')


if __name__ == '__main__':
    main()
