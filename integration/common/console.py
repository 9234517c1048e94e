"""What the demo and the snippet test say while they work.

On a terminal a step shows a spinner, how far it is and how long it has taken, all on one line. Into a file or a pipe it
prints plain lines: one at the end and, if it takes longer than two seconds, one at the start and one every ten seconds.
"""

import sys
import threading
import time

SPINNER = "|/-\\"
PLAIN_FIRST_LINE_AFTER_S = 2
PLAIN_LINE_EVERY_S = 10


class Console:
    def __init__(self, stages_total, out=sys.stdout):
        self.out = out
        self.on_terminal = out.isatty()
        self.stages_total = stages_total
        self.stage_number = 0

    def stage(self, title):
        """A numbered heading."""
        self.stage_number += 1
        self._line(f"\n[{self.stage_number}/{self.stages_total}] {title}")

    def say(self, text=""):
        """One sentence about what happens now or what was found."""
        self._line("      " + text if text else "")

    def plain(self, text=""):
        self._line(text)

    def step(self, label):
        """`with console.step("building the gateway") as step:` shows progress until the block ends."""
        return Step(self, label)

    def _line(self, text):
        print(text, file=self.out, flush=True)


class Step:
    """A piece of work of unknown length; `update` may tell how far it is at any time, from the thread that does it."""

    def __init__(self, console, label):
        self.console = console
        self.label = label
        self.detail = ""
        self.result = ""
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def update(self, detail):
        self.detail = detail

    def say(self, text):
        """A sentence in the middle of the step, without tearing the progress line."""
        with self._lock:
            self._clear()
            self.console.say(text)

    def __enter__(self):
        self.started = time.monotonic()
        self._thread = threading.Thread(target=self._show, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind, _value, _trace):
        self._ended.set()
        self._thread.join()
        self._clear()
        word = "done" if kind is None else "stopped"
        result = f": {self.result}" if self.result and kind is None else ""
        self.console.say(f"{self.label} ... {word} in {self._elapsed_s():.0f} s{result}")
        return False

    def _elapsed_s(self):
        return time.monotonic() - self.started

    def _show(self):
        if not self.console.on_terminal:
            if not self._ended.wait(PLAIN_FIRST_LINE_AFTER_S):
                self.console.say(f"{self.label} ...")
            while not self._ended.wait(PLAIN_LINE_EVERY_S):
                with self._lock:
                    self.console.say(f"  {self.label} ... {self._elapsed_s():.0f} s {self.detail}".rstrip())
            return
        turn = 0
        while not self._ended.wait(0.2):
            with self._lock:
                self.console.out.write(
                    f"\r\x1b[K    {SPINNER[turn % 4]} {self.label} ... {self._elapsed_s():.0f} s {self.detail}"[:200]
                )
                self.console.out.flush()
            turn += 1

    def _clear(self):
        if self.console.on_terminal:
            self.console.out.write("\r\x1b[K")
            self.console.out.flush()
