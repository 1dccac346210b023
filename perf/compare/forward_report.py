"""The section on forward mode in docs/performance.md, made from the rows of forward.py: every number in it comes from them."""
import platform, re, statistics, subprocess, time

PROXIES = {'nginx': 'nginx `proxy_pass`', 'forwarder': 'C forwarder (the floor)', 'forward': 'forward listener'}


def of(rows, key, **where):
    return {row['round']: row[key] for row in rows if all(row[k] == v for k, v in where.items())}


def spread(ours, theirs):
    """The median of the rounds' quotients, with the least and the greatest."""
    quotients = [ours[n] / theirs[n] for n in ours]
    return f'{statistics.median(quotients):.2f} ({min(quotients):.2f}–{max(quotients):.2f})'


def median(values, form=',.0f'):
    return format(statistics.median(values.values()), form)


def cpu_table(rows):
    yield '| content | server | pushes/s | CPU µs/push | p99 µs | CPU, ratio to nginx | to the floor | RSS MiB |'
    yield '|---|---|---|---|---|---|---|---|'
    measured = {row['server'] for row in rows}
    for body in sorted({row['body'] for row in rows}):
        for name, title in ((name, title) for name, title in PROXIES.items() if name in measured):
            get = lambda key, server=name: of(rows, key, body=body, server=server)
            ratio, floor = (spread(get('cpu_us'), get('cpu_us', other)) if name == 'forward' and other in measured else '' for other in ('nginx', 'forwarder'))
            yield (f"| {body:,} B | {title} | {median(get('rate'))} | {median(get('cpu_us'), '.1f')} | {median(get('p99_us'))} | {ratio} | {floor} "
                   f"| {median(get('rss_mib'))} |")


def latency_table(rows):
    yield '| pushes/s | server | p50 µs | p99 µs, median (least–greatest) | p99.9 µs | ratios to nginx: p50, p99, p99.9 | the generator’s own lag, p99 µs |'
    yield '|---|---|---|---|---|---|---|'
    for rate in sorted({row['rate'] for row in rows}):
        for name, title in ((name, PROXIES[name]) for name in ('nginx', 'forward')):
            get = lambda key, server=name: of(rows, key, rate=rate, server=server)
            p99 = get('p99_us')
            ratios = ', '.join(spread(get(key), get(key, 'nginx')) for key in ('p50_us', 'p99_us', 'p999_us')) if name == 'forward' else ''
            yield (f"| {rate:,} | {title} | {median(get('p50_us'))} | {median(p99)} ({min(p99.values()):,.0f}–{max(p99.values()):,.0f}) "
                   f"| {median(get('p999_us'))} | {ratios} | {median(get('lag_p99_us'))} |")


def tls_table(rows):
    yield '| content | server | pushes/s | CPU µs/push | CPU, ratio to nginx |'
    yield '|---|---|---|---|---|'
    for body in sorted({row['body'] for row in rows}):
        for name, title in (('nginx-tls', PROXIES['nginx']), ('forward-tls', PROXIES['forward'])):
            get = lambda key, server=name: of(rows, key, body=body, server=server)
            yield f"| {body:,} B | {title} | {median(get('rate'))} | {median(get('cpu_us'), '.1f')} | {spread(get('cpu_us'), get('cpu_us', 'nginx-tls')) if name == 'forward-tls' else ''} |"


def handshake_table(rows):
    yield '| server | CPU µs/push | CPU, ratio to nginx |'
    yield '|---|---|---|'
    for name, title in (('nginx-tls', PROXIES['nginx']), ('forward-tls', PROXIES['forward'])):
        get = lambda key, server=name: of(rows, key, server=server)
        yield f"| {title} | {median(get('cpu_us'), '.0f')} | {spread(get('cpu_us'), get('cpu_us', 'nginx-tls')) if name == 'forward-tls' else ''} |"


def redirect_table(rows):
    yield '| forward listener | redirects/s | CPU µs/push | p99 µs | CPU, ratio to the first | RSS MiB | threads |'
    yield '|---|---|---|---|---|---|---|'
    for name, title in (('without', 'off'), ('control', 'off, a second process'), ('with', 'on, without load')):
        get = lambda key, server=name: of(rows, key, server=server)
        ratio = spread(get('cpu_us'), get('cpu_us', 'without')) if name != 'without' else ''
        yield (f"| {title} | {median(get('rate'))} | {median(get('cpu_us'), '.2f')} | {median(get('p99_us'))} | {ratio} | {median(get('rss_mib'), '.1f')} "
               f"| {median(get('threads'))} |")


def machine():
    """What the figures were taken on."""
    model = re.search(r'model name\s*: (.*)', open('/proc/cpuinfo').read())
    nginx = re.search(r'nginx/(\S+)', subprocess.run(['nginx', '-v'], capture_output=True, text=True).stderr).group(1)
    return f'{model.group(1).strip() if model else platform.machine()}, Linux {platform.release().split("-")[0]}, nginx {nginx}, {time.strftime("%Y-%m-%d", time.gmtime())}'


def fragment(data):
    """What docs/performance.md says, all of it from the figures."""
    lines = ['## Forward mode', '', f"By `perf/compare/forward.sh`. {data['machine']}. Server on one core, load and a minimal gateway in C on the other; NativeAOT build; "
             'ratios are made within a round, with their least and greatest.', '']
    if 'cpu' in data:
        lines += ['### Beside nginx', '', f"The same pushes by nginx with `hash $request_uri consistent` and kept connections. 64 connections that send as fast as "
                  f"they are answered, {max(row['round'] for row in data['cpu'])} rounds:", '', *cpu_table(data['cpu']), '']
    if 'fresh' in data:
        lines += ['One connection per push, those to the gateway kept:', '', *cpu_table(data['fresh']), '']
    if 'latency' in data:
        lines += [f"At a fixed rate, 4 KiB, 64 connections, measured from when a push was due, {max(row['round'] for row in data['latency']) + 1} rounds:", '',
                  *latency_table(data['latency']), '']
    if 'tls' in data:
        lines += ['### Over TLS', '', f"The clients' side over TLS, an ECDSA P-256 certificate, 64 kept connections, {max(row['round'] for row in data['tls'])} rounds:", '',
                  *tls_table(data['tls']), '']
    if 'handshakes' in data:
        lines += [f"One full handshake per push, {' and '.join(data['handshakes'][0]['cipher'])} on both, {max(row['round'] for row in data['handshakes'])} rounds:", '',
                  *handshake_table(data['handshakes']), '']
    if 'idle' in data:
        lines += [f"Resident memory of {data['idle'][0]['connections']:,} idle TLS connections, each: " + ', '.join(
            f"{row['kib']:.1f} KiB ({row['server'].removesuffix('-tls')} listener)" for row in data['idle']) + '.', '']
    if 'redirect' in data:
        lines += ['### What it costs the redirects', '', f"The redirect listeners of three processes, one of which has a forward listener that nobody uses, 64 connections, "
                  f"{max(row['round'] for row in data['redirect'])} rounds:", '', *redirect_table(data['redirect']), '']
    errors = sum(row['errors'] for part in ('cpu', 'fresh', 'latency', 'redirect', 'tls', 'handshakes') for row in data.get(part, []))
    return '\n'.join(lines + [f'Errors in all of these runs: {errors}.'])
