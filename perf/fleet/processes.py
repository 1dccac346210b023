"""Processes that a run starts: their output in a file, their CPU and memory by pid, their end by pid; and small HTTP requests."""
import http.client, json, os, re, signal, subprocess, sys, threading, time

TICKS = os.sysconf('SC_CLK_TCK')


class Program:
    """`nice`: what stands for many machines at once must not slow down what would have a machine of its own."""

    def __init__(self, name, folder, command, nice=0, **options):
        self.name, self.command, self.nice, self.options = name, command, nice, options
        os.makedirs(folder, exist_ok=True)
        self.log_path = os.path.join(folder, f'{name}.log')
        self.process = None

    def start(self):
        log = open(self.log_path, 'ab')
        # Whatever becomes of this script, nothing outlives it.
        command = ['setpriv', '--pdeathsig', 'KILL', '--', 'nice', '-n', str(self.nice), *self.command]
        self.process = subprocess.Popen(command, stderr=log, **{'stdout': log, 'stdin': subprocess.DEVNULL, **self.options})
        log.close()
        return self

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None

    def check(self):
        if not self.runs:
            self.fail('has ended')

    def fail(self, what):
        sys.exit(f'{self.name} {what}:\n{open(self.log_path, errors="replace").read()[-2000:]}')

    def cpu(self):
        """Seconds of user and system time so far; None when it has ended."""
        try:
            fields = open(f'/proc/{self.process.pid}/stat').read().rsplit(')', 1)[1].split()
        except (AttributeError, OSError):
            return None
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self):
        """MiB resident now, and at most so far."""
        status = open(f'/proc/{self.process.pid}/status').read()
        return tuple(int(re.search(rf'{field}:\s+(\d+)', status).group(1)) / 1024 for field in ('VmRSS', 'VmHWM'))

    def kill(self):
        if self.runs:
            self.process.kill()
            self.process.wait()

    def signal(self):
        if self.runs:
            self.process.send_signal(signal.SIGTERM)

    def stop(self):
        self.signal()
        try:
            if self.process is not None:
                self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


class Conversation(Program):
    """A program that takes lines and responds to each with one, and ends with its input."""

    def __init__(self, name, folder, command, nice=0):
        super().__init__(name, folder, command, nice, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()

    def start(self):
        super().start()
        self.greeting = self.read()
        return self

    def say(self, line):
        with self.lock:
            try:
                self.process.stdin.write(line + '\n')
                self.process.stdin.flush()
            except BrokenPipeError:
                self.fail('has ended')
            return self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.fail('has ended')
        return line

    def stop(self):
        if self.runs:
            try:
                self.process.stdin.close()
                self.process.wait(30)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                self.kill()


class Samples:
    """CPU of groups of processes, each second."""

    def __init__(self, groups):
        """`groups`: name to a function that returns programs."""
        self.groups, self.rows, self.known, self.ended = groups, [], {}, threading.Event()
        self.take()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended.wait(max(0.05, 1 - time.time() % 1)):
            self.take()

    def take(self):
        row, known = {'at': time.time()}, {}
        for name, programs in self.groups.items():
            total = 0
            for program in programs():
                now = program.cpu()
                if now is None:
                    continue
                pid = program.process.pid
                total += now - self.known.get(pid, 0 if self.rows else now)
                known[pid] = now
            row[name] = total
        self.known = known
        self.rows.append(row)

    def between(self, start, end):
        """Core-seconds of each group."""
        rows = [row for row in list(self.rows) if start < row['at'] <= end + 1]
        return {name: sum(row[name] for row in rows) for name in self.groups}

    def shares(self, name, start, end):
        """Of a core, second by second."""
        rows = list(self.rows)
        return [row[name] / (row['at'] - before['at']) for before, row in zip(rows, rows[1:]) if start < row['at'] <= end + 1]

    def stop(self):
        self.ended.set()
        self.thread.join()


def longest(shares, bound):
    """Seconds in a row above it."""
    most = run = 0
    for share in shares:
        run = run + 1 if share > bound else 0
        most = max(most, run)
    return most


def request(host, path, method='GET', body=None, timeout=15):
    """The parsed response, and its fields. Raises OSError when there is none."""
    connection = http.client.HTTPConnection(host, timeout=timeout)
    try:
        connection.request(method, path, body=body)
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise OSError(f'{method} {host}{path}: {response.status} {content[:200].decode(errors="replace").strip()}')
        try:
            return json.loads(content) if content else None, response.headers
        except ValueError:
            return content.decode(errors='replace'), response.headers
    except http.client.HTTPException as error:
        raise OSError(f'{method} {host}{path}: {error!r}') from error
    finally:
        connection.close()


def until(condition, seconds, what, pause=0.1):
    """What the condition returns as soon as it is true; its failures of the network count as false."""
    end, last = time.monotonic() + seconds, None
    while True:
        try:
            if value := condition():
                return value
            last = None
        except OSError as error:
            last = error
        if time.monotonic() > end:
            sys.exit(f'not after {seconds} s: {what() if callable(what) else what}' + (f' ({last})' if last else ''))
        time.sleep(pause)
