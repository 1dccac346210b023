"""TLS beside nginx with the same certificate (ECDSA P-256) and cipher, and what an idle TLS connection holds: parts of forward.py."""
import os, socket, ssl, subprocess, sys, time

from child import HERE, LOAD_CORE, SERVER_CORE, free_port

LOAD = os.path.join(HERE, 'tls_load.py')
IDLE = 10_000


def certificate(folder):
    """Paths of a certificate for 127.0.0.1 and of its key."""
    os.makedirs(folder, exist_ok=True)
    cert, key = os.path.join(folder, 'edge.crt'), os.path.join(folder, 'edge.key')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2',
                    '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'], check=True, capture_output=True)
    return {'CERT': cert, 'KEY': key}


def add_nginx(stage, process, files):
    port = free_port()
    stage.add(process(stage.folder, 'nginx-tls', SERVER_CORE, ['nginx', '-p', os.path.join(stage.folder, 'nginx-tls'), '-c'], 'nginx-proxy-tls.conf', [port],
                      PORT=port, GATEWAY=stage.gateway, **files), **{'nginx-tls': port})


def add_sharding(stage, process, files):
    port, forward, admin = free_port(), free_port(), free_port()
    stage.add(process(stage.folder, 'tls', SERVER_CORE, [stage.args.aot, '--config.file'], 'dynamic-sharding-tls.yml', [port, forward],
                      PORT=port, FORWARD=forward, ADMIN=admin, GATEWAY=stage.gateway, **files), **{'redirect-tls': port, 'forward-tls': forward})


def cipher(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(('127.0.0.1', port))) as connection:
        return connection.cipher()[:2]


def handshakes(stage, name, seconds):
    server = stage.owners[name]
    before = server.cpu()
    run = subprocess.run(['taskset', '-c', LOAD_CORE, sys.executable, LOAD, 'handshakes', str(stage.ports[name]), str(seconds), '8'],
                         capture_output=True, text=True, check=True)
    pushes, failed = map(int, run.stdout.split())
    return {'server': name, 'pushes': pushes, 'errors': failed, 'cpu_us': (server.cpu() - before) / max(pushes, 1) * 1e6}


def handshake_rows(stage, rounds, seconds):
    rows = []
    for number in range(rounds + 1):
        # Round 0 warms up.
        for name in ('nginx-tls', 'forward-tls') if number % 2 else ('forward-tls', 'nginx-tls'):
            row = handshakes(stage, name, seconds if number else 2)
            if number:
                rows.append({**row, 'round': number})
                print(f"handshake per push  round {number}  {name:14} {row['pushes'] / seconds:6,.0f}/s {row['cpu_us']:8.1f} µs  errors {row['errors']}", flush=True)
    return rows


def idle_row(stage, name, connections=IDLE):
    """Resident KiB per connection that has had one response, by the difference."""
    server, port = stage.owners[name], stage.ports[name]
    subprocess.run([sys.executable, LOAD, 'handshakes', str(port), '2', '4'], check=True, capture_output=True)
    time.sleep(2)
    before = server.rss()
    client = subprocess.Popen(['taskset', '-c', LOAD_CORE, sys.executable, LOAD, 'idle', str(port), str(connections)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        if client.stdout.readline().strip() != 'READY':
            sys.exit('the connections could not be opened')
        time.sleep(3)
        after = server.rss()
    finally:
        client.stdin.close()
        client.wait(60)
    row = {'server': name, 'connections': connections, 'before_kib': before, 'after_kib': after, 'kib': (after - before) / connections}
    print(f"idle  {name:14} {connections:,} connections: {before:,} to {after:,} KiB, {row['kib']:.1f} KiB each", flush=True)
    return row
