"""The edge that cleans up: a measured process on all cores, and its pages."""
import json, os, re, sys, time, urllib.error, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), 'compare'))
from child import SERVER_CORE, LOAD_CORE, Child, free_port

CORES = f'{SERVER_CORE},{LOAD_CORE}'


def process(folder, name, command, **options):
    child = Child(name, os.path.join(folder, name))
    child.start(command, CORES, **options)
    return child


class Edge(Child):
    def __init__(self, folder, binary, template, **values):
        super().__init__('edge', os.path.join(folder, 'edge'))
        self.template, self.values = os.path.join(HERE, template), {**values, 'ADMIN': free_port()}
        self.url = f"http://127.0.0.1:{self.values['ADMIN']}"
        self.start([binary, '--config.file', self.configure(self.template, **self.values)], CORES)
        try:
            self.until(self.ready, 60, 'is not ready')
        except BaseException:
            self.stop()
            raise

    def reload(self, **values):
        self.configure(self.template, **{**self.values, **values})
        urllib.request.urlopen(urllib.request.Request(self.url + '/-/reload', method='POST'), timeout=30).read()

    def ready(self):
        try:
            return bool(urllib.request.urlopen(self.url + '/-/ready', timeout=10).read())
        except (urllib.error.URLError, OSError):
            return False

    def cleanup(self):
        return json.loads(urllib.request.urlopen(self.url + '/api/v1/cleanup', timeout=10).read())

    def until(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                self.fail(what)
            time.sleep(0.1)

    def forget_peak(self):
        open(f'/proc/{self.process.pid}/clear_refs', 'w').write('5')

    def peak(self):
        """MiB resident at most since then."""
        return int(re.search(r'VmHWM:\s+(\d+)', open(f'/proc/{self.process.pid}/status').read()).group(1)) / 1024


def listed(gateways):
    return ', '.join(f'"{gateway}"' for gateway in gateways)
