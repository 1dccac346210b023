#!/usr/bin/env python3
"""Every push client against the redirect and the forward listener, plain and with TLS, with a real Consul and real Pushgateways.

  matrix.py           writes the tables into docs/compatibility.md
  matrix.py --check   fails when the tables there say something else than what was seen; versions may differ

Needs what tests/install-peers.sh installs. DYNAMIC_SHARDING_BINARY names another build of the program than its Release one. Each client
replaces a group (PUT), adds to one (POST) and deletes one; then every gateway is asked what it holds. Fails when anything goes wrong on
the forward listener, or when a value is anywhere but on its owner. Loopback only.
"""
import argparse, difflib, json, os, re, signal, sys, time, urllib.parse

from clients import ALL, all_clients, build, peer_versions
from peers import ROOT, USER, Authority, Cast, http

DOCUMENT = os.path.join(ROOT, 'docs', 'compatibility.md')
LISTENERS = ('redirect', 'forward')
RIGHT, SILENT, LOUD = 'yes', '**lost silently**', 'fails'


class Lab:
    """One installation, and what its gateways hold of a group."""

    def __init__(self, edge, gateways, user=None, authority=None, scheme='http'):
        self.edge, self.gateways, self.user, self.authority, self.scheme = edge, gateways, user, authority, scheme

    def owner(self, path):
        status, text = http('GET', f"http://{self.edge['admin']}/api/v1/lookup?path={urllib.parse.quote(path)}")
        assert status == 200, text
        return json.loads(text)['owner']

    def held(self, job, instance):
        """The group's series, by gateway and metric name, without Pushgateway's own."""
        seen = {}
        for gateway in self.gateways:
            status, page = http('GET', f'{self.scheme}://{gateway}/metrics', user=self.user)
            assert status == 200, page
            for line in page.splitlines():
                if f'job="{job}"' in line and f'instance="{instance}"' in line and not line.startswith('push_'):
                    seen[gateway, line.split('{')[0]] = float(line.rsplit(' ', 1)[1])
        return seen

    def judge(self, client, listener, action, credentials):
        """What became of one push, what the client said, and whether it was right."""
        job = re.sub('[^a-z0-9]+', '-', client.name.lower()).strip('-')
        instance = f"{action}-{listener}-{'with' if credentials else 'without'}"
        path = f'/metrics/job/{job}/instance/{instance}'
        owner = self.owner(path)
        seeded = {(owner, 'seeded_value'): 7.0}
        pushed = {(owner, 'pushed_value'): 1.0}
        status, text = http('PUT', f'{self.scheme}://{owner}{path}', b'seeded_value 7\n', user=self.user)
        assert status == 200 and self.held(job, instance) == seeded, text
        wanted = {'put': pushed, 'post': {**seeded, **pushed}, 'delete': {}}[action]

        success, words = client.push(action, self.edge[listener], job, instance, credentials, self.authority)
        for _ in range(20):
            held = self.held(job, instance)
            # Pushgateway answers a DELETE before it has done it.
            if held == wanted or not success or action != 'delete':
                break
            time.sleep(0.05)
        words = words.replace(path, '/…')
        for address, name in [(self.edge[listener], 'edge'), *((gateway, 'gateway') for gateway in self.gateways)]:
            words = words.replace(address, name).replace(address.split(':')[0], name)
        if held == wanted:
            return (RIGHT if success else 'arrives, reported as a failure'), words
        if held == seeded:
            return (SILENT if success else LOUD), words
        return f'wrong: {held}', words


class Matrix:
    def __init__(self):
        self.clients, self.trouble = all_clients(), []

    def tried(self, lab, client, listener, action, credentials=False):
        result, words = lab.judge(client, listener, action, credentials)
        print(f'{client.name:42} {listener:9} {action:7} {"with credentials" if credentials else "":17} {result:32} {words}', flush=True)
        if result.startswith('wrong') or (listener == 'forward' and result != RIGHT):
            self.trouble.append(f'{client.name}, {listener}, {action}: {result}; it says: {words}')
        return result, words

    def main_table(self, lab):
        yield peer_versions()
        yield ''
        yield '| client | version | redirect: PUT | redirect: POST | redirect: DELETE | what it says | forward: PUT | forward: POST | forward: DELETE |'
        yield '|---|---|---|---|---|---|---|---|---|'
        for client in self.clients:
            cells, said = [], {}
            for listener in LISTENERS:
                for action in ALL:
                    result, words = self.tried(lab, client, listener, action) if action in client.actions else ('–', '')
                    cells.append(result)
                    if listener == 'redirect' and action in client.actions and result != RIGHT:
                        said.setdefault(words, action)
            yield f"| {client.name} | {client.version} | {' | '.join(cells[:3])} | {'; '.join(said)} | {' | '.join(cells[3:])} |"

    def protected_table(self, plain, configured):
        yield '| client | redirect, its credentials | what it says | forward, its credentials | forward, `pushgateway.basic_auth` and none of its own |'
        yield '|---|---|---|---|---|'
        for client in self.clients:
            (result, words), (forwarded, _), (added, _) = (
                self.tried(plain, client, 'redirect', 'put', True), self.tried(plain, client, 'forward', 'put', True),
                self.tried(configured, client, 'forward', 'put'))
            yield f"| {client.name} | {result} | {words if result != RIGHT else ''} | {forwarded} | {added} |"

    def tls_table(self, plain, secure):
        """Three deployments; a cell says what became of PUT, POST and DELETE."""
        yield '| client | https redirect, `http` gateways | what it says | https redirect, `https` gateways | what it says | forward https, `https` gateways |'
        yield '|---|---|---|---|---|---|'
        for client in self.clients:
            if not client.tls:
                continue
            cells = []
            for lab, listener in ((plain, 'redirect'), (secure, 'redirect'), (secure, 'forward')):
                results, said = {}, {}
                for action in client.actions:
                    result, words = self.tried(lab, client, listener, action)
                    results.setdefault(result, []).append(action.upper())
                    if result != RIGHT:
                        said.setdefault(words, action)
                cells.append(', '.join(f'{result}: {" ".join(actions)}' for result, actions in results.items()) if len(results) > 1 else next(iter(results)))
                if listener == 'redirect':
                    cells.append('; '.join(said))
            yield f"| {client.name} | {' | '.join(cells)} |"

    def run(self, binary):
        with Cast() as cast:
            authority = Authority(cast.folder)
            consul = cast.consul()
            open_gateways, closed = cast.gateways(), cast.gateways(protected=True)
            lab = Lab(cast.sharding(binary, consul, 'open', open_gateways), open_gateways)
            # Without credentials of its own the edge cannot ask these for their health: a TCP check can.
            plain = Lab(cast.sharding(binary, consul, 'plain', closed, '  health_check: {type: tcp}\n'), closed, USER)
            configured = Lab(cast.sharding(binary, consul, 'configured', closed, credentials=True), closed, USER)
            secret = cast.gateways(authority=authority)
            half = Lab(cast.sharding(binary, consul, 'half', open_gateways, authority=authority), open_gateways, authority=authority)
            whole = Lab(cast.sharding(binary, consul, 'whole', secret, authority=authority, scheme='https'), secret, authority=authority, scheme='https')
            return {'tls': list(self.tls_table(half, whole)), 'clients': list(self.main_table(lab)), 'credentials': list(self.protected_table(plain, configured))}


def replace(text, name, lines):
    begin, end = f'<!-- {name}:begin, written by tests/clients/matrix.py -->', f'<!-- {name}:end -->'
    if text.count(begin) != 1 or text.count(end) != 1:
        sys.exit(f'{DOCUMENT} needs exactly one "{begin}" and one "{end}"')
    before, rest = text.split(begin)
    return before + begin + '\n' + '\n'.join(lines) + '\n' + end + rest.split(end)[1]


def without_versions(text):
    """The peers' line and the main table's second column are emptied: a machine may have other versions."""
    text = re.sub(r'(?m)^Consul \S+, Pushgateway \S+$', '', text)
    return re.sub(r'(?m)^(\| [^|]+ \|)[^|]*(\|(?:[^|]*\|){7})$', r'\1\2', text)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser()
    parser.add_argument('--check', action='store_true')
    args = parser.parse_args()
    binary = os.environ.get('DYNAMIC_SHARDING_BINARY') or os.path.join(ROOT, 'src/DynamicSharding/bin/Release/net10.0/dynamic-sharding')
    build()
    matrix = Matrix()
    tables = matrix.run(binary)
    written = text = open(DOCUMENT).read()
    for name, lines in tables.items():
        written = replace(written, name, lines)
    if args.check:
        old, new = (without_versions(t).splitlines() for t in (text, written))
        matrix.trouble += difflib.unified_diff(old, new, DOCUMENT, 'seen', lineterm='', n=0)
    else:
        open(DOCUMENT, 'w').write(written)
    for line in matrix.trouble:
        print(line)
    sys.exit(1 if matrix.trouble else 0)


if __name__ == '__main__':
    main()
