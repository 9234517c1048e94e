"""The processes of one run: started, killed as a crash would, and always cleaned up.

Every process leads a session of its own, so that a whole tree can be ended through its group, and is listed in
`processes.json` of the run's folder, so that `demo.py --stop` can end what `--keep` left running.
"""

import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from failure import Failure

# Below the range from which the system takes ports for outgoing connections: a port that waits for a killed gateway
# to come back is not handed to somebody else meanwhile, and a client that retries cannot connect to itself.
PORT_RANGE = (15000, 29999)
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def free_port():
    for _ in range(200):
        port = random.randint(*PORT_RANGE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Failure(f"no free port found between {PORT_RANGE[0]} and {PORT_RANGE[1]}")


def command_line(pid):
    """The command line of a running process, or "" when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        answer = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return answer.stdout.strip()


class Process:
    """One child. `marker` is a text its command line must hold: it is checked before the process is killed."""

    def __init__(self, name, popen, marker, log):
        self.name = name
        self.popen = popen
        self.marker = marker
        self.log = log

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def is_the_right_one(self):
        return self.running() and self.marker in command_line(self.pid)

    def kill_9(self):
        """Ends it as a power cut would and returns its pid; fails if it was not running or was something else."""
        if not self.is_the_right_one():
            raise Failure(f"process {self.pid} is not a running {self.name}, so it was not killed", [self.log])
        os.kill(self.pid, signal.SIGKILL)
        if self.popen.wait(timeout=30) != -signal.SIGKILL:
            raise Failure(f"{self.name} ended by itself before it could be killed", [self.log])
        return self.pid


class Processes:
    def __init__(self, folder, outlive_us=False):
        self.folder = Path(folder)
        self.outlive_us = outlive_us
        self.all = []

    def start(self, name, argv, marker, env=None, cwd=None, terminal=None):
        """Starts one; it writes to a log in the run's folder, or talks to `terminal`, a file descriptor."""
        log = self.folder / "logs" / f"{name}.out"
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as out:
            popen = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL if terminal is None else terminal,
                stdout=out if terminal is None else terminal,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
                preexec_fn=None if self.outlive_us else _die_with_parent,
            )
        process = Process(name, popen, marker, log)
        self.all.append(process)
        self._write_list()
        return process

    def stop_all(self):
        """Ends everything that still runs, last started first, politely and then not."""
        alive = [process for process in reversed(self.all) if process.running()]
        for process in alive:
            _signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 8
        for process in alive:
            try:
                process.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
        for process in alive:
            _signal_group(process.pid, signal.SIGKILL)
            process.popen.wait()

    def _write_list(self):
        listed = [{"name": p.name, "pid": p.pid, "marker": p.marker} for p in self.all if p.running()]
        (self.folder / "processes.json").write_text(json.dumps(listed, indent=1))


def stop_listed(folder):
    """Ends the processes that an earlier run with --keep left running; returns their names."""
    stopped = []
    for entry in reversed(json.loads((Path(folder) / "processes.json").read_text())):
        if entry["marker"] in command_line(entry["pid"]):
            _signal_group(entry["pid"], signal.SIGTERM)
            stopped.append(entry)
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline and any(e["marker"] in command_line(e["pid"]) for e in stopped):
        time.sleep(0.2)
    for entry in stopped:
        if entry["marker"] in command_line(entry["pid"]):
            _signal_group(entry["pid"], signal.SIGKILL)
    return [entry["name"] for entry in stopped]


def tail(log, lines=15):
    """The last lines of a log, as a list."""
    try:
        return Path(log).read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def _signal_group(pid, number):
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _die_with_parent():
    """On Linux the kernel ends the child when the program itself is killed with -9."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
