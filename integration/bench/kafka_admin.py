"""A process that makes and removes the topics of one broker (KafkaAdmin.java): one for all of them, not a JVM for each."""

import os
import select
import subprocess
import time

from failure import Failure

ANSWER_TIMEOUT_S = 120
# it is idle but for a call now and then: small, and no compiler threads beside what is measured
OPTIONS = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class KafkaAdmin:
    """`command` is what to run; its log gets whatever it says besides its answers."""

    def __init__(self, command, log):
        self.log = log
        with open(log, "ab") as out:
            # ends by itself with its standard input, so with this program, too
            self.popen = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                bufsize=0,
                start_new_session=True,
            )

    def ask(self, *words):
        """Has one thing done and waits for it."""
        what = f"Kafka's `{' '.join(words)}`"
        try:
            self.popen.stdin.write((" ".join(words) + "\n").encode())
        except BrokenPipeError:
            raise Failure(f"{what} failed: the process for topics has ended", [self.log]) from None
        answer = self._line(what)
        if answer != "done":
            raise Failure(f"{what} {answer}", [self.log])

    def _line(self, what):
        """Its next line; what comes before the line's end is kept, however it is cut."""
        line = b""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.popen.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise Failure(f"{what} was not done after {ANSWER_TIMEOUT_S} s", [self.log])
            piece = os.read(self.popen.stdout.fileno(), 1 << 16)
            if not piece:
                raise Failure(f"{what} failed: the process for topics has ended", [self.log])
            line += piece
        return line.decode(errors="replace").strip()

    def stop(self):
        self.popen.stdin.close()
        # the broker goes too, and a client would only wait for it
        self.popen.kill()
        self.popen.wait()
        self.popen.stdout.close()
