"""Runs one program under a pseudo-terminal and keeps what the kernel knows of it.

A program says on its terminal when it goes from one part of its work to the next; each such line is a
mark, and with it the wall clock and the processor time of the whole process so far are kept. So every
program's parts are timed by the same clock, from outside, without a change to it.
"""
import os
import pty
import re
import select
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
POLL_S = 0.02
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Mark:
    """A line of the program's talk: wall and processor seconds since it began."""

    def __init__(self, line, wall, cpu):
        self.line, self.wall, self.cpu = line, wall, cpu


class Run:
    """What is known of a program that ended."""

    def __init__(self):
        self.marks = []
        self.code = None
        self.wall = self.user = self.system = 0.0
        self.peak_rss = 0        # bytes, file-backed pages that are mapped included
        self.peak_anonymous = 0  # bytes, without them: what the program asked for itself; sampled
        self.peak_gpu = None     # bytes; None where no nvidia-smi answers

    @property
    def cpu(self):
        return self.user + self.system


def cpu_seconds(pid):
    """User and system time of all threads, dead ones too; resolution is a clock tick, 10 ms."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def anonymous_bytes(pid):
    total = 0
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * 1024
    return total


def gpu_bytes(pid):
    """Device memory of one process by the driver; None where there is no driver to ask."""
    try:
        out = subprocess.run(
            ["nvidia-smi", "--query-compute-apps=pid,used_gpu_memory", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split(",") for line in out.splitlines() if line.count(",") == 1]
    return sum(int(mib) * 2**20 for owner, mib in rows if owner.strip() == str(pid) and mib.strip().isdigit())


def watch_gpu(pid, run, ended):
    while not ended.is_set():
        now = gpu_bytes(pid)
        if now is None:
            return
        run.peak_gpu = max(run.peak_gpu or 0, now)
        ended.wait(0.2)


class Lines:
    """Splits what a terminal is sent into lines; a carriage return ends one too.

    A line of progress is ended only by the next one, so a line's time is that of its first byte.
    """

    def __init__(self):
        self.rest, self.since = b"", None

    def feed(self, data, wall, cpu):
        since = self.since or (wall, cpu)
        *whole, self.rest = re.split(rb"[\r\n]", self.rest + data)
        for line in whole:
            text = ESCAPES.sub("", line.decode("utf-8", "replace")).strip()
            if text:
                yield Mark(text, *since)
            since = (wall, cpu)
        self.since = since if self.rest else None


def read_terminal(terminal, child, run, began):
    """Reads until the child has ended and the terminal is dry. Returns its resource usage."""
    lines, usage = Lines(), None
    while True:
        ready = select.select([terminal], [], [], 0 if usage else POLL_S)[0]
        data = b""
        if ready:
            try:
                data = os.read(terminal, 65536)
            except OSError:  # EIO: the other side is closed
                data = b""
        if usage is None:
            try:
                cpu = cpu_seconds(child)
                run.peak_anonymous = max(run.peak_anonymous, anonymous_bytes(child))
            except (OSError, IndexError):
                cpu = run.marks[-1].cpu if run.marks else 0.0
        run.marks += lines.feed(data, time.monotonic() - began, cpu)
        if usage is None:
            pid, code, rusage = os.wait4(child, os.WNOHANG)
            if pid == child:
                run.wall = time.monotonic() - began
                run.code = os.waitstatus_to_exitcode(code)
                usage = rusage
        elif not data:
            run.marks += lines.feed(b"\n", run.wall, cpu)
            return usage


def watch(command, environment):
    """Runs `command` to its end; `environment` is added to this one's."""
    run, ended = Run(), threading.Event()
    began = time.monotonic()
    child, terminal = pty.fork()
    if child == 0:
        try:
            os.execvpe(command[0], command, {**os.environ, **environment})
        except OSError as error:
            os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(127)
    gpu = threading.Thread(target=watch_gpu, args=(child, run, ended))
    gpu.start()
    usage = read_terminal(terminal, child, run, began)
    ended.set()
    gpu.join()
    os.close(terminal)
    run.user, run.system = usage.ru_utime, usage.ru_stime
    run.peak_rss = usage.ru_maxrss * 1024
    return run
