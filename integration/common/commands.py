"""Commands that run to their end: pip, cargo, Maven, the SQL client."""

import os
import re
import subprocess
from pathlib import Path

from failure import Failure

LAST_LINES = 15


def run(command, what, hint="", env=None, cwd=None, log=None, step=None, timeout_s=None):
    """Runs a command and returns what it printed. On failure says what it was for and shows its last lines.

    With `step`, how far the command is (pip's and cargo's own counting, else its newest line) is shown as it runs.
    """
    try:
        popen = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
    except FileNotFoundError:
        raise Failure(f"{what} failed: {command[0]} is not installed" + (f"; {hint}" if hint else "")) from None
    try:
        printed = _follow(popen, step) if step else popen.communicate(timeout=timeout_s)[0].decode(errors="replace")
        popen.wait()
    except subprocess.TimeoutExpired:
        raise Failure(f"{what} was not done after {timeout_s} s") from None
    finally:
        if popen.poll() is None:
            popen.kill()
            popen.wait()
    if log:
        Path(log).write_text(printed)
    if popen.returncode != 0:
        last = [line for line in re.split(r"[\r\n]+", printed) if line.strip() and not _counting(line)][-LAST_LINES:]
        shown = "\n".join("        " + line for line in last)
        raise Failure(f"{what} failed (exit {popen.returncode})" + (f"; {hint}" if hint else "") + "\n" + shown)
    return printed


def _follow(popen, step):
    """Reads the output as it comes; lines may end with a carriage return, as progress bars do."""
    printed = []
    rest = ""
    while True:
        piece = os.read(popen.stdout.fileno(), 1 << 16).decode(errors="replace")
        if not piece:
            return "".join(printed)
        printed.append(piece)
        *lines, rest = re.split(r"[\r\n]", rest + piece)
        for line in filter(str.strip, lines):
            step.update(_counting(line) or line.strip()[:60])


def _counting(line):
    """How far it is by a line of `pip --progress-bar raw` or of cargo's progress bar, or "" for any other line."""
    pip = re.match(r"Progress (\d+) of (\d+)", line)
    if pip and int(pip.group(2)):
        done, total = int(pip.group(1)), int(pip.group(2))
        return f"{100 * done // total} % of {total / 1e6:.0f} MB"
    cargo = re.search(r"Building \[.*\] (\d+)/(\d+)", line)
    if cargo:
        return f"{100 * int(cargo.group(1)) // int(cargo.group(2))} %, {cargo.group(1)} of {cargo.group(2)} parts"
    return ""
