"""Flink's SQL client on a pseudo terminal, as a person uses it: text is typed in, the screen is read."""

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

from failure import Failure

ROWS, COLUMNS = 50, 160
SHOWN_LINES = 20
PROMPT = "Flink SQL>"
# colours say nothing; other control sequences move the cursor, so what follows is another word
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MOVE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[=>]|\([0-9A-Z])")


class SqlTerminal:
    """Use it in a `with` block: the client is told to quit at its end."""

    def __init__(self, processes, command, env):
        self.terminal, other_end = pty.openpty()
        fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = processes.start("sql-client", command, "SqlClient", {**env, "TERM": "xterm"}, terminal=other_end)
        os.close(other_end)
        self.screen = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.write(self.terminal, b"q\nQUIT;\n")
            self.process.popen.wait(20)
        except Exception:  # it has ended by itself, or the run's clean-up will end it
            pass
        os.close(self.terminal)

    def type(self, text):
        """Types a text in, in pieces that a terminal takes; what is on the screen so far is forgotten."""
        self.screen = ""
        for line in text.splitlines(keepends=True):
            os.write(self.terminal, line.encode())
            self._look(0.05)

    def wait_for(self, what, *patterns, timeout_s):
        """Until every pattern has been on the screen since the last `type`."""
        deadline = time.monotonic() + timeout_s
        while not all(re.search(pattern, self.screen) for pattern in patterns):
            if "[ERROR]" in self.screen:
                self._look(1)
                raise Failure(f"the SQL client refused {what}:\n{self.shown()}")
            if time.monotonic() > deadline or not self.process.running():
                raise Failure(f"{what} did not show in the SQL client within {timeout_s} s:\n{self.shown()}")
            self._look(0.5)

    def shown(self):
        """The first error and what follows it, else the last lines of the screen."""
        lines = [line for line in self.screen.splitlines() if line.strip()]
        first_error = next((number for number, line in enumerate(lines) if "[ERROR]" in line), len(lines) - SHOWN_LINES)
        return "\n".join("        " + line for line in lines[max(0, first_error) :][:SHOWN_LINES])

    def _look(self, seconds):
        """Reads what is printed within a time."""
        end = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return
            try:
                piece = os.read(self.terminal, 1 << 16)
            except OSError:  # the other end is closed
                time.sleep(max(0.0, end - time.monotonic()))
                return
            self.screen = (self.screen + MOVE.sub(" ", COLOUR.sub("", piece.decode(errors="replace"))))[-100_000:]
