"""What a change and a quiet minute cost, as sums of a few terms: fitted on the smaller sizes, checked on the largest, and carried to a size that the
machine has no room for. N is the number of edges, G that of gateways."""

TERMS = {'1': lambda n, g: 1, 'N': lambda n, g: n, 'G': lambda n, g: g, 'N·G': lambda n, g: n * g}
# Title, unit, where it is found in a size's figures, and what it can grow with. A list of gateways goes to every edge, so its bytes grow with G
# and the CPU for it with N·G; a number of requests grows with neither. With few sizes the first terms are fitted.
QUANTITIES = [
    ('quiet, requests per edge and minute', '', lambda s: s['quiet']['simulated']['requests'], '1'),
    ('quiet, bytes per edge and minute', 'B', lambda s: s['quiet']['simulated']['bytes'], '1 G'),
    ("quiet, CPU of Consul's servers per minute", 's', lambda s: s['quiet']['servers_cpu'], '1 N·G N'),
    ('a gateway dies, requests per edge', '', lambda s: s['dies']['whole']['simulated']['requests'], '1'),
    ('a gateway dies, bytes per edge', 'B', lambda s: s['dies']['whole']['simulated']['bytes'], '1 G'),
    ("a gateway dies, CPU of Consul's servers", 's', lambda s: above_quiet(s, s['dies']['whole'], 'servers_cpu'), 'N·G 1 N'),
    ("a gateway dies, CPU of Consul's agents", 's', lambda s: above_quiet(s, s['dies']['whole'], 'agents_cpu'), 'N·G 1 N'),
    ('all edges start, requests per edge', '', lambda s: s['start']['simulated']['requests'], '1'),
    ('all edges start, bytes per edge', 'B', lambda s: s['start']['simulated']['bytes'], '1 G'),
    ("all edges start, CPU of Consul's servers", 's', lambda s: above_quiet(s, s['start'], 'servers_cpu'), 'N·G 1 N'),
]


def above_quiet(scenarios, measured, key):
    """What a scenario costs more than the same time without it."""
    return max(0.0, measured[key] - scenarios['quiet'][key] * measured['seconds'] / 60)


def solve(matrix, right):
    """Gauss with pivots; None when the columns depend on each other."""
    size = len(right)
    rows = [row[:] + [value] for row, value in zip(matrix, right)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda r: abs(rows[r][i]))
        if abs(rows[pivot][i]) < 1e-12:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(size):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i])]
    return [rows[i][size] / rows[i][i] for i in range(size)]


def fit(points, terms):
    """Least squares of the relative errors, without negative coefficients: nothing gets cheaper by more edges. `points`: (N, G, value). The error of a
    value that is very small beside the others is mostly noise, and counts less."""
    least = max(value for *_, value in points) / 50 or 1.0
    chosen = terms[:len(points)]
    while chosen:
        weighted = [([TERMS[term](n, g) / max(value, least) for term in chosen], value / max(value, least)) for n, g, value in points]
        # Scaled columns: N·G and 1 in one matrix would be all the difference that its pivots see.
        scale = [max(row[i] for row, _ in weighted) for i in range(len(chosen))]
        rows = [([value / unit for value, unit in zip(row, scale)], right) for row, right in weighted]
        matrix = [[sum(row[i] * row[j] for row, _ in rows) for j in range(len(chosen))] for i in range(len(chosen))]
        found = solve(matrix, [sum(row[i] * right for row, right in rows) for i in range(len(chosen))])
        if found is None:
            chosen = chosen[:-1]
        elif min(found) < 0:
            chosen = [term for term, value in zip(chosen, found) if value != min(found)]
        else:
            return {term: value / unit for term, value, unit in zip(chosen, found, scale)}
    return {}


def predict(coefficients, n, g):
    return sum(value * TERMS[term](n, g) for term, value in coefficients.items())


def having(sizes, names):
    """Those with these scenarios, the smallest first."""
    return sorted((size for size in sizes if all(name in size['scenarios'] for name in names)), key=lambda s: (s['edges'] * s['gateways'], s['gateways']))


def build(sizes, target=(1000, 1000)):
    """Rows of title, unit, coefficients, and (predicted, measured) at the size of the check and the value at the target. None with too few sizes."""
    known = having(sizes, ('quiet', 'dies', 'start'))
    if len(known) < 2:
        return None
    check, rows = known[-1], []
    for title, unit, value, terms in QUANTITIES:
        fitted = [size for size in having(sizes, ('quiet', 'dies', 'start') if 'start' in title else ('quiet', 'dies')) if size is not check]
        coefficients = fit([(size['edges'], size['gateways'], value(size['scenarios'])) for size in fitted], terms.split())
        rows.append({'title': title, 'unit': unit, 'coefficients': coefficients, 'predicted': predict(coefficients, check['edges'], check['gateways']),
                     'measured': value(check['scenarios']), 'target': predict(coefficients, *target)})
    fitted = [f"{size['edges']} × {size['gateways']}" + ('' if size in known else ' (not of a start)') for size in having(sizes, ('quiet', 'dies')) if size is not check]
    return {'fitted': fitted, 'check': f"{check['edges']} × {check['gateways']}",
            'target': f'{target[0]:,} × {target[1]:,}', 'rows': rows}
