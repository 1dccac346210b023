"""A measured process (with its children) on chosen cores: its configuration, its CPU time and memory, its end by pid."""
import os, re, signal, socket, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
TICKS = os.sysconf('SC_CLK_TCK')
# Lists as taskset takes them.
SERVER_CORE, LOAD_CORE = os.environ.get('SERVER_CORES', '0'), os.environ.get('LOAD_CORES', '1')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Child:
    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        os.makedirs(folder)

    def configure(self, template, **values):
        """The path of the template, filled in: @PORT@ and the like. Beside this script, if it has no path of its own."""
        text = open(os.path.join(HERE, template)).read()
        for key, value in values.items():
            text = text.replace(f'@{key}@', str(value))
        path = os.path.join(self.folder, os.path.basename(template))
        open(path, 'w').write(text)
        return path

    def start(self, command, cores, **options):
        self.log = open(os.path.join(self.folder, 'log'), 'w+b')
        self.started = time.monotonic()
        self.process = subprocess.Popen(['taskset', '-c', cores, *command], cwd=self.folder, stderr=self.log, **{'stdout': self.log, **options})

    def wait(self, port):
        """Until it accepts connections."""
        for _ in range(600):
            if self.process.poll() is not None:
                self.fail('ended at its start')
            try:
                socket.create_connection(('127.0.0.1', port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        self.fail('does not listen')

    def fail(self, what):
        self.log.seek(0)
        sys.exit(f'{self.name} {what}:\n{self.log.read()[-2000:].decode(errors="replace")}')

    def pids(self):
        children = open(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read().split()
        return [self.process.pid, *map(int, children)]

    def cpu(self):
        """Seconds of user and system time so far."""
        total = 0
        for pid in self.pids():
            fields = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def rss(self):
        """KiB."""
        return sum(int(re.search(r'VmRSS:\s+(\d+)', open(f'/proc/{pid}/status').read()).group(1)) for pid in self.pids())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
