"""A process that is measured, and the pages of an edge."""
import json, re, signal, socket, subprocess, sys, time, urllib.error, urllib.request


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Process:
    def __init__(self, command, log, **options):
        self.log = open(log, 'w+b')
        self.process = subprocess.Popen(command, stderr=self.log, **{'stdout': self.log, **options})

    def memory(self, field='VmRSS'):
        """MiB; VmHWM is the most so far."""
        return int(re.search(field + r':\s+(\d+)', open(f'/proc/{self.process.pid}/status').read()).group(1)) / 1024

    def forget_peak(self):
        open(f'/proc/{self.process.pid}/clear_refs', 'w').write('5')

    def cpu(self):
        """Seconds of user and system time so far."""
        fields = open(f'/proc/{self.process.pid}/stat').read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def fail(self, what):
        self.log.seek(0)
        sys.exit(f'{what}:\n{self.log.read()[-2000:].decode(errors="replace")}')

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Edge(Process):
    def __init__(self, binary, config, log, admin):
        super().__init__([binary, '--config.file', config], log)
        self.url = f'http://127.0.0.1:{admin}'
        self.wait(self.ready, 60, 'is not ready')

    def page(self, path):
        return urllib.request.urlopen(self.url + path, timeout=10).read().decode()

    def ready(self):
        try:
            return bool(self.page('/-/ready'))
        except (urllib.error.URLError, OSError):
            return False

    def cleanup(self):
        return json.loads(self.page('/api/v1/cleanup'))

    def wait(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                self.fail(f'the edge {what}')
            time.sleep(0.1)


def configure(template, path, **values):
    text = open(template).read()
    for key, value in values.items():
        text = text.replace(f'@{key}@', str(value))
    open(path, 'w').write(text)
    return path
