"""Measurements in parts, each a few minutes at most: a part replaces its figures in a store, and a section of docs/performance.md is written from it."""
import json, os, shutil, signal, sys, tempfile

DOCUMENT = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'docs', 'performance.md')


def add_options(parser, parts):
    parser.add_argument('--out', required=True)
    parser.add_argument('--parts', default=','.join(parts))
    parser.add_argument('--write', action='store_true', help='put what is in the store into docs/performance.md')


def measure(parts, args, name, machine):
    """Runs the chosen parts, each with a folder of its own. Returns everything in OUT/NAME.json."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    store = os.path.join(args.out, name + '.json')
    data = json.load(open(store)) if os.path.exists(store) else {}
    for part in filter(None, args.parts.split(',')):
        folder = tempfile.mkdtemp(prefix=f'dynamic-sharding-{name}-')
        try:
            data[part] = parts[part](folder, args)
        finally:
            shutil.rmtree(folder)
        data['machine'] = machine()
        json.dump(data, open(store, 'w'), indent=1)
    return data


def write(text, section):
    """Between the marks of the section, which are added at the end if they are not there."""
    begin, end = f'<!-- {section}:begin -->', f'<!-- {section}:end -->'
    try:
        old = open(DOCUMENT).read()
    except FileNotFoundError:
        old = '# Performance\n'
    if begin not in old:
        old = f'{old.rstrip()}\n\n{begin}\n{end}\n'
    before, rest = old.split(begin)
    open(DOCUMENT, 'w').write(f'{before}{begin}\n{text}\n{end}{rest.split(end)[1]}')
