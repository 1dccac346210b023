#!/usr/bin/env python3
"""Runs a program under the restrictions of a service unit, on a machine whose process 1 is not systemd.

  sandbox.py [--jit] UNIT PROGRAM ARGUMENT...

Applies what can be taken from the unit without systemd: SystemCallFilter=, MemoryDenyWriteExecute=, RestrictAddressFamilies= and
RestrictNamespaces= as the same seccomp filters that systemd 252 loads (src/shared/seccomp-util.c), through libseccomp; ProcSubset= and
ProtectProc= as a /proc of its own; ProtectSystem= as a read-only root; an empty CapabilityBoundingSet=; NoNewPrivileges=, LimitNOFILE= and
UMask=. Needs root. --jit is for a build that runs on the .NET runtime, which can start neither under MemoryDenyWriteExecute= nor without
sched_setaffinity(2).
"""
import ctypes, errno, os, resource, subprocess, sys

arguments = sys.argv[1:]
jit = arguments[0] == '--jit'
unit_file, *command = arguments[jit:]
unit = {}
for line in open(unit_file):
    name, equals, value = line.strip().partition('=')
    if equals and not line.startswith('#'):
        unit.setdefault(name, []).append(value)

libc = ctypes.CDLL(None, use_errno=True)
seccomp = ctypes.CDLL('libseccomp.so.2', use_errno=True)
seccomp.seccomp_init.restype = ctypes.c_void_p
ALLOW, LESS, EQUAL, GREATER, MASKED = 0x7FFF0000, 2, 4, 6, 7


class Compare(ctypes.Structure):
    _fields_ = [('argument', ctypes.c_uint), ('operation', ctypes.c_int), ('a', ctypes.c_uint64), ('b', ctypes.c_uint64)]


def refuse(code):
    return 0x00050000 | code


def check(result, what):
    if result < 0:
        sys.exit(f'sandbox: {what}: {os.strerror(-result if result != -1 else ctypes.get_errno())}')


def load(default, rules):
    """rules: (action, system call, [(argument, operation, a, b)])"""
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(default)))
    for action, name, compares in rules:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            continue  # a call that this libseccomp does not know, or that this machine does not have
        array = (Compare * max(1, len(compares)))(*[Compare(*compare) for compare in compares])
        result = seccomp.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(compares), array)
        if result != -errno.EDOM:
            check(result, f'rule for {name}')
    check(seccomp.seccomp_load(context), 'seccomp_load')


def group(name):
    if not name.startswith('@'):
        return {name}
    text = subprocess.run(['systemd-analyze', '--no-pager', 'syscall-filter', name], check=True, capture_output=True, text=True).stdout
    words = [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith('#')]
    return set().union(*map(group, words))


def allowed_calls():
    allowed = group('@default')
    for value in unit['SystemCallFilter']:
        names = set().union(*map(group, value.lstrip('~').split()))
        allowed = allowed - names if value.startswith('~') else allowed | names
    return allowed | {'sched_setaffinity'} if jit else allowed


def mount(source, target, kind, flags, options):
    encoded = [text.encode() if text else None for text in (source, target, kind)]
    if libc.mount(*encoded, ctypes.c_ulong(flags), options.encode() if options else None) != 0:
        sys.exit(f'sandbox: mount {target}: {os.strerror(ctypes.get_errno())}')


calls = allowed_calls()
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE, CLONE_NEWNS = 1, 32, 4096, 16384, 1 << 18, 0x00020000
check(libc.unshare(CLONE_NEWNS), 'unshare')
mount(None, '/', None, MS_REC | MS_PRIVATE, None)
if 'ProtectProc' in unit or 'ProcSubset' in unit:
    subset = 'subset=pid,' if unit.get('ProcSubset') == ['pid'] else ''
    mount('proc', '/proc', 'proc', 0, f'{subset}hidepid={unit["ProtectProc"][0]}')
if unit.get('ProtectSystem') == ['strict']:
    mount(None, '/', None, MS_BIND | MS_REMOUNT | MS_RDONLY, None)

# systemd may raise the hard limit; here it stays where a container has it.
limit = min(int(unit['LimitNOFILE'][0]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
os.umask(int(unit['UMask'][0], 8))
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
if unit['CapabilityBoundingSet'] == ['']:
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
if unit['NoNewPrivileges'] == ['yes']:
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'no new privileges')

W, X, SHM_EXEC = 2, 4, 0o100000
if unit.get('MemoryDenyWriteExecute') == ['yes'] and not jit:
    deny = refuse(errno.EPERM)
    load(ALLOW, [
        (deny, 'mmap', [(2, MASKED, W | X, W | X)]),
        (deny, 'mprotect', [(2, MASKED, X, X)]),
        (deny, 'pkey_mprotect', [(2, MASKED, X, X)]),
        (deny, 'shmat', [(2, MASKED, SHM_EXEC, SHM_EXEC)]),
    ])
families = {'AF_UNIX': 1, 'AF_INET': 2, 'AF_INET6': 10, 'AF_NETLINK': 16}
known = sorted(families[name] for name in unit['RestrictAddressFamilies'][0].split())
deny = refuse(errno.EAFNOSUPPORT)
load(ALLOW, [(deny, 'socket', [(0, LESS, known[0], 0)]), (deny, 'socket', [(0, GREATER, known[-1], 0)])]
     + [(deny, 'socket', [(0, EQUAL, family, 0)]) for family in range(known[0], known[-1]) if family not in known])
if unit['RestrictNamespaces'] == ['yes']:
    deny = refuse(errno.EPERM)
    namespaces = [0x02000000, 0x08000000, 0x40000000, 0x00020000, 0x20000000, 0x10000000, 0x04000000]
    load(ALLOW, [(refuse(errno.ENOSYS), 'clone3', []), (deny, 'unshare', []), (deny, 'setns', [])]
         + [(deny, 'clone', [(0, MASKED, flag, flag)]) for flag in namespaces])
load(refuse(errno.EPERM), [(ALLOW, name, []) for name in calls])
os.execvp(command[0], command)
