"""From raw figures to the targets, the table, the chart and docs/performance.md."""
import html, os, platform, re, statistics, subprocess
from servers import TITLES
from syscalls import WORKLOAD
from throughput import WORKLOADS

COLOURS = {'floor': '#9aa0a6', 'nginx': '#2e7d32', 'haproxy': '#1565c0', 'kestrel': '#6a1b9a', 'aot': '#e6522c', 'jit': '#f4a582', 'inline': '#c5a000', 'pool': '#e0cf7a'}
BEGIN, END = '<!-- measured:begin -->', '<!-- measured:end -->'


def median(values):
    values = list(values)
    return statistics.median(values) if values else float('nan')


def ratio(rows, workload, server, other):
    """Median of the rounds' ratios of CPU per request."""
    of = lambda name: {r['round']: r['cpu_us'] for r in rows if r['workload'] == workload and r['server'] == name}
    ours, theirs = of(server), of(other)
    return median(ours[n] / theirs[n] for n in ours if theirs.get(n))


def number(value, digits=2):
    return '' if value != value else f'{value:,.{digits}f}'


def table(data):
    rows, idle = data['rows'], data['idle']
    lines = ['| workload | server | requests/s | CPU µs/request | p50 µs | p99 µs | p99.9 µs | RSS MiB | bytes per idle connection | CPU to nginx | CPU to the floor |',
             '|---|---|---|---|---|---|---|---|---|---|---|']
    for workload in dict.fromkeys(r['workload'] for r in rows):
        piped = WORKLOADS[workload][1] > 1
        for name in data['servers']:
            own = [r for r in rows if r['workload'] == workload and r['server'] == name]
            if not own:
                continue
            m = lambda key, digits=0: number(median(r[key] for r in own), digits)
            # wrk times a write of sixteen requests as one.
            latencies = ['', '', ''] if piped else [m('p50_us'), m('p99_us'), m('p999_us')]
            lines.append('| ' + ' | '.join([workload, TITLES[name], m('rate'), m('cpu_us', 2), *latencies, number(median(r['rss_kib'] for r in own) / 1024, 1),
                                            number(idle.get(name, float('nan')), 0), number(ratio(rows, workload, name, 'nginx')),
                                            number(ratio(rows, workload, name, 'floor'))]) + ' |')
    return '\n'.join(lines)


def latency_table(rows):
    lines = ['| requests/s | server | p50 µs | p99 µs | p99.9 µs | the generator’s own lag, p99 µs | errors |', '|---|---|---|---|---|---|---|']
    for rate in dict.fromkeys(r['rate'] for r in rows):
        for name in ('nginx', 'aot'):
            own = [r for r in rows if r['rate'] == rate and r['server'] == name]
            lines.append(f"| {rate:,} | {TITLES[name]} | " + ' | '.join(number(median(r[p] for r in own), 0) for p in ('p50', 'p99', 'p99.9', 'lag_p99'))
                         + f" | {sum(r['errors'] for r in own)} |")
    return '\n'.join(lines)


def targets(data):
    """Rows of name, bound, measured text, kept or not."""
    rows, found = data['rows'], []

    def most(name, bound, value, text=None):
        # What a run did not measure is no target of it.
        if value == value:
            found.append((name, f'≤ {bound:g}', text or number(value), value <= bound))

    if rows:
        kept = [w for w in WORKLOADS if w.startswith('keep-alive')]
        for workload in kept:
            most(f'{workload}: CPU per request to nginx', 0.95, ratio(rows, workload, 'aot', 'nginx'))
            most(f'{workload}: CPU per request to the C floor', 1.20, ratio(rows, workload, 'aot', 'floor'))
        most('one connection per push: CPU per request to nginx', 1.00, ratio(rows, 'one connection per push', 'aot', 'nginx'))
        rate = lambda w: median(r['rate'] for r in rows if r['workload'] == w and r['server'] == 'aot')
        times = rate('pipelined x16, 64 connections') / rate('keep-alive, 64 connections')
        if times == times:
            found.append(('pipelined x16: rate to that of one by one', '≥ 5', number(times, 1), times >= 5))
    for rate in dict.fromkeys(r['rate'] for r in data['latency']):
        for p in ('p50', 'p99', 'p99.9'):
            pairs = {}
            for r in data['latency']:
                if r['rate'] == rate:
                    pairs.setdefault(r['pair'], {})[r['server']] = r[p]
            ratios = [pair['aot'] / pair['nginx'] for pair in pairs.values()]
            most(f'open loop, {rate:,}/s: {p} to nginx', 1.0, median(ratios), f'{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})')
    if data['collections']:
        c = data['collections']
        most(f"collections in {c['requests']:,} requests", 0, c['collections'], f"{c['collections']:.0f}; {c['bytes']:,.0f} B allocated by the whole process meanwhile")
    if 'aot' in data['idle']:
        most('bytes per idle connection, 10,000 of them', 2048, data['idle']['aot'], number(data['idle']['aot'], 0))
    if data['start']:
        most('start to the first 307, ms', 60, median(r['ms'] for r in data['start']))
        rss = median(r['rss_kib'] for r in data['start']) / 1024
        most('resident after it with the admin listener on, MiB', 40, rss, number(rss, 1))
    if data['reshard']:
        ratios = [r['disturbed'] / r['undisturbed'] for r in data['reshard']]
        most('p99.9 around a new ring of 1,000 gateways to that of undisturbed time', 1.5, median(ratios), f'{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})')
    if data['cores']:
        of = lambda n: {r['round']: r['cpu_us'] for r in data['cores'] if r['cores'] == n}
        most('CPU per request on two cores to one', 1.10, median(of(2)[n] / of(1)[n] for n in of(1)))
    return found


def targets_table(data):
    lines = ['| target | bound | measured | |', '|---|---|---|---|']
    return '\n'.join(lines + [f"| {name} | {bound} | {text} | {'met' if kept else '**missed**'} |" for name, bound, text, kept in targets(data)])


def chart(data):
    rows = data['rows']
    workloads = list(dict.fromkeys(r['workload'] for r in rows))
    values = {(w, n): median(r['cpu_us'] for r in rows if r['workload'] == w and r['server'] == n) for w in workloads for n in data['servers']}
    top = max(v for v in values.values() if v == v)
    bar, gap, left, width = 14, 26, 230, 760
    y, parts = 40, []
    for w in workloads:
        parts.append(f'<text x="10" y="{y + 12}" font-weight="600">{html.escape(w)}</text>')
        for n in data['servers']:
            v = values[w, n]
            if v != v:
                continue
            length = v / top * (width - left - 90)
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" fill="{COLOURS[n]}"/>'
                         f'<text x="{left + length + 6:.1f}" y="{y + 10}" font-size="10">{v:.1f}  {TITLES[n]}</text>')
            y += bar
        y += gap
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 120} {y}" font-family="system-ui,sans-serif" font-size="12">'
            f'<title>CPU per request</title><rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="10" y="20" font-size="14" font-weight="600">CPU per request, µs (less is better)</text>{"".join(parts)}</svg>\n')


def syscalls_table(rows):
    lines = ['| server | user µs/request | system µs/request | system calls per request |', '|---|---|---|---|']
    for r in rows:
        calls = ', '.join(f'`{name}` {count:.2f}' for name, count in r['calls'].items())
        lines.append(f"| {TITLES[r['server']]} | {r['user_us']:.2f} | {r['system_us']:.2f} | {calls} |")
    return '\n'.join(lines)


def versions():
    def first_line(*command):
        run = subprocess.run(command, capture_output=True, text=True)
        return (run.stdout + run.stderr).strip().splitlines()[0]
    cpu = re.search(r'model name\s*: (.*)', open('/proc/cpuinfo').read())
    return ', '.join([f"{os.cpu_count()} cores of {cpu.group(1) if cpu else platform.machine()}", f'Linux {platform.release()}',
                      first_line('nginx', '-v').replace('nginx version: ', ''), first_line('haproxy', '-v').split(' - ')[0].split(' 20')[0],
                      '.NET ' + first_line('dotnet', '--version') + ' SDK', first_line('cc', '--version'), first_line('wrk', '-v').split(' Copyright')[0]])


def errors(data):
    """Of the servers in question: failed requests and answers that were no redirect."""
    return (sum(r['failed'] + r['bad_status'] for r in data['rows']) + sum(r['errors'] for part in ('latency', 'reshard') for r in data[part]))


def kept_parts(data):
    """Parts that were not measured in the run that the document is dated by, under the date that they were."""
    older = {}
    for part, when in data.get('taken', {}).items():
        if when != data['date']:
            older.setdefault(when, []).append(part)
    return [(when, ', '.join(parts)) for when, parts in sorted(older.items())]


def write_document(data, path, image):
    """Replaces what stands between the two marks; the words around them are written by hand."""
    text = open(path).read()
    before, rest = text.split(BEGIN)
    measured = [f"{data['date']}, {data['versions']}. {data['rounds']} rounds of {data['seconds']} s for each server and workload. Errors in all runs: {errors(data)}."
                + ''.join(f" Of another run, {when}: {parts}." for when, parts in kept_parts(data)), '',
                '### Targets', '', targets_table(data), '', '### Side by side', '', table(data), '', f'![CPU per request]({os.path.relpath(image, os.path.dirname(path))})']
    if data.get('syscalls'):
        measured += ['', '### System calls', '', f"{WORKLOAD}; calls per request by `strace -c`, times without it.", '', syscalls_table(data['syscalls'])]
    if data['reshard']:
        measured += ['', '### A new ring under load', '', 'A run each: p99.9 of the two seconds around the new ring, and of the rest of the run. '
                     + '; '.join(f"{r['disturbed']:,.0f} µs and {r['undisturbed']:,.0f} µs" for r in data['reshard']) + '.']
    if data['latency']:
        measured += ['', '### Open loop', '', f"Medians of {1 + max(r['pair'] for r in data['latency'])} runs each.", '', latency_table(data['latency'])]
    open(path, 'w').write(before + BEGIN + '\n' + '\n'.join(measured) + '\n' + END + rest.split(END)[1])
    os.makedirs(os.path.dirname(image), exist_ok=True)
    open(image, 'w').write(chart(data))
