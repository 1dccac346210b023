"""push.py chunked|expect put|post ADDRESS JOB INSTANCE, by a socket.

chunked sends a body of odd chunks that it makes as it goes, so it cannot send it twice, and takes only a 2xx for success. expect sends
"Expect: 100-continue", waits for an answer before it sends its body, and goes where a 307 says.
"""
import base64, os, re, socket, ssl, sys

BODY = b'# TYPE pushed_value gauge\npushed_value 1\n'
SCHEME = 'https' if 'PUSH_CA' in os.environ else 'http'
PATIENCE = 10  # seconds for an interim answer: a server that sends none has failed the sender


def connect(address, scheme):
    host, port = address.rsplit(':', 1)
    plain = socket.create_connection((host, int(port)), PATIENCE)
    return plain if scheme == 'http' else ssl.create_default_context(cafile=os.environ['PUSH_CA']).wrap_socket(plain, server_hostname=host)


def head(action, address, path, *fields):
    lines = [f'{action.upper()} {path} HTTP/1.1', f'Host: {address}', 'Connection: close', *fields]
    if os.environ.get('PUSH_USER'):
        pair = f"{os.environ['PUSH_USER']}:{os.environ['PUSH_PASSWORD']}"
        lines.append('Authorization: Basic ' + base64.b64encode(pair.encode()).decode())
    return ('\r\n'.join(lines) + '\r\n\r\n').encode()


def answer(peer):
    """The next status and its head."""
    data = b''
    while b'\r\n\r\n' not in data:
        byte = peer.recv(1)
        if not byte:
            raise ConnectionError(f'closed after {len(data)} bytes of an answer')
        data += byte
    text = data.decode('latin-1')
    return int(re.match(r'HTTP/1\.1 (\d{3})', text).group(1)), text


def chunked(action, address, path):
    with connect(address, SCHEME) as peer:
        peer.sendall(head(action, address, path, 'Transfer-Encoding: chunked'))
        for begin, end in ((0, 1), (1, 8), (8, 10), (10, len(BODY))):
            peer.sendall(b'%x;a=b\r\n%s\r\n' % (end - begin, BODY[begin:end]))
        peer.sendall(b'0\r\n\r\n')
        return [answer(peer)[0]]


def expect(action, address, path):
    seen, scheme = [], SCHEME
    for _ in range(2):
        with connect(address, scheme) as peer:
            peer.sendall(head(action, address, path, f'Content-Length: {len(BODY)}', 'Expect: 100-continue'))
            status, text = answer(peer)
            seen.append(status)
            if status == 100:
                peer.sendall(BODY)
                seen.append(answer(peer)[0])
            if status != 307:
                break
            scheme, address, path = re.search(r'(?im)^Location: (https?)://([^/\r\n]+)(\S*)', text).groups()
    return seen


how, action, address, job, instance = sys.argv[1:]
try:
    statuses = {'chunked': chunked, 'expect': expect}[how](action, address, f'/metrics/job/{job}/instance/{instance}')
except OSError as error:
    print(error or type(error).__name__)
    sys.exit(1)
print('status ' + ', then '.join(map(str, statuses)))
sys.exit(0 if statuses[-1] // 100 == 2 else 1)
