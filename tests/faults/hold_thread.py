#!/usr/bin/env python3
"""Holds one thread of a process still, and no other: what a loop that hangs looks like from outside.

  hold_thread.py PID THREAD_NAME

Prints "held" once the thread stands (ptrace(2): the others go on), and lets it go when standard input ends or the script does.
"""
import ctypes, os, sys

PTRACE_CONT, PTRACE_ATTACH, PTRACE_DETACH, WALL = 7, 16, 17, 0x40000000

pid, name = int(sys.argv[1]), sys.argv[2]
found = [int(tid) for tid in os.listdir(f'/proc/{pid}/task') if open(f'/proc/{pid}/task/{tid}/comm').read().strip() == name]
if len(found) != 1:
    sys.exit(f'{len(found)} threads of {pid} are called {name}')

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
if libc.ptrace(PTRACE_ATTACH, found[0], None, None) != 0:
    sys.exit('ptrace: ' + os.strerror(ctypes.get_errno()))
_, status = os.waitpid(found[0], WALL)
if not os.WIFSTOPPED(status):
    sys.exit(f'the thread did not stop: {status}')

print('held', flush=True)
sys.stdin.read()
libc.ptrace(PTRACE_DETACH, found[0], None, None)
