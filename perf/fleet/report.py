"""From the figures to the targets, the tables, the picture and docs/scale.md."""
import html, os, platform, re, subprocess

import model
from scenarios import ADMIT_AFTER, BUSY, SCENARIOS, SETTLE

BEGIN, END = '<!-- measured:begin -->', '<!-- measured:end -->'
MIB, KIB = 1024 * 1024, 1024


def title(size):
    return f"{size['edges']:,} × {size['gateways']:,}"


def ordered(data):
    return sorted(data['sizes'].values(), key=lambda size: (size['edges'] * size['gateways'], size['edges']))


def kib(value):
    return f'{value / KIB:,.1f}' if value < 100 * KIB else f'{value / KIB:,.0f}'


def rows(header, lines):
    return '\n'.join(['| ' + ' | '.join(header) + ' |', '|' + '---|' * len(header), *('| ' + ' | '.join(line) + ' |' for line in lines)])


def targets(data):
    """Rows of name, bound, measured text, kept or not."""
    found, sizes = [], ordered(data)

    def most(name, bound, value, unit='', digits=2):
        found.append((name, f'≤ {bound:g}{unit}', f'{value:,.{digits}f}{unit}', value <= bound))

    def of(scenario, key):
        """The sizes that come nearest to what the target is about: those with the most edges or gateways that it asks for."""
        known = [size for size in sizes if scenario in size['scenarios']]
        wanted = [size for size in known if key(size)]
        return wanted or known[-1:]

    for size in of('dies', lambda s: s['edges'] == 100):
        most(f"{title(size)}: from critical in Consul to the last new ring, less `settle`", 2, size['scenarios']['dies']['time'], ' s')
    if sizes:
        most('all sizes and scenarios: edges that disagree at the end', 0, sum(each['disagreeing'] for size in sizes for each in size['scenarios'].values()), digits=0)
    for name in ('long', 'quiet'):
        # The longer time has all that the shorter one has.
        for size in [size for size in sizes if name in size['scenarios'] and size['gateways'] >= 1000 and (name == 'long' or 'long' not in size['scenarios'])]:
            quiet = size['scenarios'][name]
            most(f"{title(size)}: {quiet['seconds']:.0f} quiet seconds, requests per edge and minute", 2, quiet['simulated']['requests'])
            most(f"{title(size)}: {quiet['seconds']:.0f} quiet seconds, KiB per edge and minute", 20, quiet['simulated']['bytes'] / KIB)
    for name in ('dies', 'returns'):
        for size in of(name, lambda s: s['edges'] >= 100):
            most(f'{title(size)}: requests per edge for one change, {SCENARIOS[name]}', 2, size['scenarios'][name]['simulated']['requests'])
    for size in of('start', lambda s: s['edges'] >= 300):
        start = size['scenarios']['start']
        most(f'{title(size)}: all edges start, ring changes', 0, max(each['changes_most'] for each in (start['simulated'], start['real']) if each), digits=0)
        most(f'{title(size)}: all edges start, the last one is ready', 10, start['time'], ' s')
        most(f"{title(size)}: all edges start, one of Consul's servers above {BUSY:.0%} of a core, in a row", 5, start['busy_seconds'], ' s', 0)
    for size in [size for size in sizes if size['memory'] and size['gateways'] >= 1000]:
        most(f'{title(size)}: resident memory of an edge, a real process', 80, size['memory']['resident'], ' MiB', 1)
    for count, bound in (('1000', 60), ('10000', 900)):
        if ring := data.get('rings', {}).get(count):
            most(f"a ring of {int(count):,} gateways, median of {ring['rings']}", bound, ring['median_ms'], ' ms', 1)
    return found


def targets_table(data):
    return rows(['target', 'bound', 'measured', ''], [(name, bound, text, 'met' if kept else '**missed**') for name, bound, text, kept in targets(data)])


def by_size(data, cell, names=tuple(name for name in SCENARIOS if name != 'long')):
    """A row for each scenario, a column for each size."""
    sizes = ordered(data)
    lines = [[SCENARIOS[name], *(cell(name, size['scenarios'][name]) if name in size['scenarios'] else '' for size in sizes)] for name in names]
    return rows(['', *map(title, sizes)], [line for line in lines if any(line[1:])])


def unfinished(size):
    names = ', '.join(f"'{SCENARIOS[name]}'" for name in size['unfinished'])
    return f'; the fleet did not come to rest in {names}' if names else ''


def sizes_table(data):
    lines = []
    for size in ordered(data):
        first = size['scenarios']['first']
        memory = f"{size['memory']['resident']:.0f}, {size['memory']['peak']:.0f}" if size['memory'] else ''
        lines.append((title(size), f"{size['servers']}, {size['agents']}", f"{first['rows']:,}", f"{first['writes']:,} by {first.get('edges', size['edges'])}", str(size['replicas']), memory, f"{size['seconds'] / 60:.0f} min{unfinished(size)}"))
    return rows(['edges × gateways', "Consul's servers, agents", 'rows in Consul', 'writes of the first start, by edges', 'points per gateway in the simulation',
                 'MiB of a real edge, 500 points: at the end, at most', 'run'], lines)


def quiet_table(data):
    lines = []
    for size in ordered(data):
        for quiet in [size['scenarios'][name] for name in ('quiet', 'long') if name in size['scenarios']]:
            kinds = ', '.join(f'{count:.1f} {kind}' for kind, count in quiet['simulated']['kinds'].items() if count >= 0.05)
            lines.append((title(size), f"{quiet['simulated']['requests']:.1f} ({kinds} in {quiet['seconds']:.0f} s)", kib(quiet['simulated']['bytes']),
                          f"{quiet['servers_cpu']:.2f}", f"{quiet['agents_cpu']:.2f}", f"{quiet['real_cpu']:.2f}"))
    return rows(['', 'requests per edge', 'KiB per edge', "CPU of Consul's servers, s", 'of all its agents, s', 'of a real edge, s'], lines)


def real_table(data):
    lines = []
    for size in ordered(data):
        for name in ('dies', 'start'):
            each = size['scenarios'].get(name)
            if not each or not each['real']:
                continue
            times = f"{each['time']:.2f}, {each['real_time']:.2f} s" if each.get('real_time') is not None else ''
            lines.append((title(size), SCENARIOS[name], times, f"{each['simulated']['requests']:.1f}, {each['real']['requests']:.1f}",
                          f"{kib(each['simulated']['bytes'])}, {kib(each['real']['bytes'])}", f"{each['simulated']['changes']:.1f}, {each['real']['changes']:.1f}"))
    return rows(['', '', 'time, the last of them', 'requests', 'KiB', 'ring changes'], lines)


def amount(value, unit):
    if unit == 'B':
        return f'{value / MIB:,.1f} MiB' if value >= 10 * MIB else f'{kib(value)} KiB'
    return f'{value:,.2f} {unit}'.strip()


def model_table(built):
    lines = []
    for row in built['rows']:
        unit = f" {row['unit']}" if row['unit'] else ''
        formula = ' + '.join(f'{value:.3g}' + ('' if term == '1' else f' {term}') for term, value in row['coefficients'].items()) or '0'
        error = f"{row['predicted'] / row['measured'] - 1:+.0%}" if row['measured'] else ''
        lines.append((row['title'], formula + unit, amount(row['predicted'], row['unit']), amount(row['measured'], row['unit']), error, amount(row['target'], row['unit'])))
    return rows(['', 'model', f"{built['check']}, predicted", 'measured', 'error', built['target']], lines)


def rings_table(data):
    return rows(['gateways', 'rings', 'median ms', 'longest ms', 'MiB resident after it'],
                [(f'{int(count):,}', str(ring['rings']), f"{ring['median_ms']:.1f}", f"{ring['most_ms']:.1f}", f"{ring['resident']:.0f}") for count, ring in data['rings'].items()])


def endpoints_table(data):
    lines = [(f'{int(count):,}', name, kib(each['bytes']), f"{each['servers_ms']:.2f}", f"{each['agent_ms']:.2f}")
             for count, variants in data['endpoints'].items() for name, each in variants.items()]
    return rows(['rows', 'request', 'KiB', "CPU of Consul's servers, ms", 'of the agent, ms'], lines)


def sections(data, image):
    found = []
    if not data['sizes']:
        found += ['Not measured yet.', '']
    else:
        found += [f"{data['date']}, {data['machine']}. Edges, gateways and Consul share the machine. Edges disagree at the end: "
                  f"{sum(each['disagreeing'] for size in ordered(data) for each in size['scenarios'].values())}.", '', '### Targets', '', targets_table(data), '',
                  '### Sizes', '', sizes_table(data), '', f'![What a change and a quiet minute cost]({image})', '',
                  '### Nothing happens, per minute', '', quiet_table(data), '',
                  '### Time', '', f'In seconds. A gateway dies, returns, joins: from when Consul knows of it to the new ring of the last edge, less `settle` ({SETTLE:g} s) and, for one '
                  f'that comes, `admit_after` ({ADMIT_AFTER:g} s). Agents: until every gateway passes again. Leader: until there is a new one. Start: until the last edge is ready. Files: the whole roll-out.', '',
                  by_size(data, lambda name, each: f"{each['time']:.2f}" if 'time' in each else ''), '',
                  '### Requests per edge', '', 'Mean, and the most of one edge; of a change also the mean with the list that follows it.', '',
                  by_size(data, lambda name, each: f"{each['simulated']['requests']:.1f} ({each['simulated']['requests_most']:.0f})"
                          + (f"; {each['whole']['simulated']['requests']:.1f}" if 'whole' in each else '')), '',
                  '### KiB per edge', '', 'On the wire, in both directions, without TCP; of a change with the list that follows it.', '',
                  by_size(data, lambda name, each: kib(each.get('whole', each)['simulated']['bytes'])), '',
                  '### Ring changes', '', 'The most of one edge, and for how many seconds the edges had different rings.', '',
                  by_size(data, lambda name, each: f"{each['simulated']['changes_most']}; {each['disagreed']:.2f}"), '',
                  "### CPU of Consul's servers", '', 'Core-seconds of all servers together, and the busiest second of one as a share of a core; of a change with the list that follows it.', '',
                  by_size(data, lambda name, each: f"{each.get('whole', each)['servers_cpu']:.2f}; {each.get('whole', each)['busiest_server']:.0%}"), '',
                  '### Simulated and real edges', '', 'The simulation first, then the published binary beside it.', '', real_table(data), '']
    # The text around the marks has links to both.
    if built := model.build(list(data['sizes'].values())):
        found += ['### Model', '', f"N edges, G gateways. Fitted on {', '.join(built['fitted'])}; checked on {built['check']}.", '', model_table(built), '']
    else:
        found += ['### Model', '', 'Not fitted yet: it needs at least two sizes.', '']
    if data.get('endpoints'):
        found += ['### One request', '', 'For the list of a service, to a client agent, with gzip.', '', endpoints_table(data), '']
    found += ['### Rings', '', 'Not measured yet.']
    if data.get('rings'):
        found[-1:] = ['The published binary, 500 points per gateway.', '', rings_table(data)]
    return '\n'.join(found).rstrip()


def machine():
    cpu = re.search(r'model name\s*: (.*)', open('/proc/cpuinfo').read())
    consul = subprocess.run(['consul', 'version'], capture_output=True, text=True).stdout.splitlines()[0]
    return f"{os.cpu_count()} cores of {cpu.group(1).strip() if cpu else platform.machine()}, Linux {platform.release().split('-')[0]}, {consul}"


PANELS = [('A gateway dies: last new ring, s', 2, lambda s: s['dies']['time']),
          ('A gateway dies: KiB per edge, with the list that follows', None, lambda s: s['dies']['whole']['simulated']['bytes'] / KIB),
          ('Nothing happens: KiB per edge and minute', 20, lambda s: s['quiet']['simulated']['bytes'] / KIB),
          ('It returns: last new ring, s', 2, lambda s: s['returns']['time'])]


def chart(data):
    """A panel for each figure, a bar for each size; the dashed line is the target."""
    sizes = model.having(data['sizes'].values(), ('quiet', 'dies', 'returns'))
    width, left, length, bar, y, parts = 760, 110, 480, 18, 10, []
    for name, bound, value in PANELS:
        values = [max(0.0, value(size['scenarios'])) for size in sizes]
        top = max([*values, bound or 0]) or 1
        parts.append(f'<text x="10" y="{y + 14}" font-weight="600">{html.escape(name)}</text>')
        y += 24
        begin = y
        for size, each in zip(sizes, values):
            parts.append(f'<text x="{left - 8}" y="{y + 11}" text-anchor="end">{title(size)}</text><rect x="{left}" y="{y}" width="{each / top * length:.1f}" height="{bar - 5}" fill="#e6522c"/>'
                         f'<text x="{left + each / top * length + 6:.1f}" y="{y + 11}" font-size="10">{each:,.2f}</text>')
            y += bar
        if bound:
            x = left + bound / top * length
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{begin - 3}" y2="{y}" stroke="#1565c0" stroke-dasharray="4 3"/>')
        y += 14
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" font-family="system-ui,sans-serif" font-size="12"><title>What a change and a quiet minute cost, edges × gateways</title>'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n')


def write_image(data, path):
    if model.having(data['sizes'].values(), ('quiet', 'dies', 'returns')):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(chart(data))


def write_document(data, path, image):
    """Replaces what stands between the two marks; the words around them are written by hand."""
    text = open(path).read()
    before, rest = text.split(BEGIN)
    with open(path, 'w') as file:
        file.write(before + BEGIN + '\n' + sections(data, os.path.relpath(image, os.path.dirname(path))) + '\n' + END + rest.split(END)[1])
