"""A JVM that runs the Java jobs of one system, one after the other: what Java compiled for one run is there for the next."""

import json
import os
import select
import subprocess
import time

from failure import Failure

MAIN = "io.sluice.bench.Main"
END_TIMEOUT_S = 10


class FlinkJvm:
    def __init__(self, options, classpath, log):
        self.log = log
        with open(log, "ab") as errors:
            command = ["java", *options, "-cp", classpath, MAIN]
            self.popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self._rest = b""

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def run(self, words, what, timeout_s):
        """The figures of one job. After a failure the JVM is of no more use."""
        self.popen.stdin.write((" ".join(words) + "\n").encode())
        self.popen.stdin.flush()
        deadline = time.monotonic() + timeout_s
        while True:
            line = self._line(deadline)
            if line is None:
                raise Failure(f"{what} was not done after {timeout_s} s", [self.log])
            if line.startswith("{"):
                return json.loads(line)
            if line.startswith("failed") or not line:
                raise Failure(f"{what} {line or 'ended with its JVM'}", [self.log])

    def _line(self, deadline):
        """The next line of its output: "" at the end, None when the time is up."""
        while b"\n" not in self._rest:
            left = max(0, deadline - time.monotonic())
            if not select.select([self.popen.stdout], [], [], left)[0]:
                return None
            piece = os.read(self.popen.stdout.fileno(), 1 << 16)
            if not piece:
                return ""
            self._rest += piece
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode(errors="replace") or " "

    def stop(self):
        self.popen.stdin.close()
        try:
            self.popen.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.popen.stdout.close()
