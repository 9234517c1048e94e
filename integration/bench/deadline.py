"""A time limit for whatever runs in this program's first thread, so that one workload that stands still does not stop the others."""

import contextlib
import signal


class TimeUp(Exception):
    """Not a Failure: nobody who expects one of those may take this for an answer."""


@contextlib.contextmanager
def limit(seconds):
    """Raises TimeUp in what is inside when the time is up; commands that it waits for are killed on the way out."""

    def raise_it(*_):
        raise TimeUp(f"not done after {seconds / 60:.0f} minutes")

    before = signal.signal(signal.SIGALRM, raise_it)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
