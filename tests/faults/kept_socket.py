#!/usr/bin/env python3
"""Keeps a listening socket, as systemd does for a socket unit, and starts the server on it (LISTEN_FDS, LISTEN_PID, descriptor 3).

  kept_socket.py PORT BINARY ARGUMENT...

Prints "started PID". Reads orders from standard input, a line each: "restart" stops the server with SIGTERM, waits for its end and starts it
anew on the same socket; "shutdown" shuts the socket down under it. The end of the input stops the server. Ends with the server's exit code.
"""
import ctypes, os, signal, socket, sys

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(('127.0.0.1', int(sys.argv[1])))
listener.listen(65535)


def start():
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it cannot outlive this script
        os.close(0)
        os.dup2(listener.fileno(), 3) if listener.fileno() != 3 else os.set_inheritable(3, True)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='data')
        os.execv(sys.argv[2], sys.argv[2:])
    print('started', pid, flush=True)
    return pid


def stop(pid):
    os.kill(pid, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


server = start()
for line in sys.stdin:
    order = line.strip()
    if order == 'shutdown':
        listener.shutdown(socket.SHUT_RDWR)
    elif order == 'restart':
        code = stop(server)
        if code != 0:
            sys.exit(f'the server ended with {code}')
        server = start()
sys.exit(stop(server))
