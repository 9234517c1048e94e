"""What the disk of these runs does by itself, measured in the same run as what is compared with it."""

import mmap
import os
import time

BLOCK_BYTES = 1 << 20
# between two syncs, as in the gateway's log
SYNC_BYTES = 8 << 20
APPEND_BYTES = 4096
APPENDS = 200


def fdatasync_ms_p99(folder):
    """How long an append of 4 KiB with its fdatasync takes."""
    path = folder / "fdatasync.tmp"
    times = []
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for _ in range(APPENDS):
            began = time.perf_counter()
            os.write(file, bytes(APPEND_BYTES))
            os.fdatasync(file)
            times.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(file)
        path.unlink()
    return sorted(times)[int(len(times) * 0.99)]


def sequential_mb_per_s(folder, size):
    """Writing so many bytes with one fdatasync every 8 MiB: through the page cache and past it, the better of both."""
    rates = [_write(folder / "sequential.tmp", size, flags) for flags in (0, os.O_DIRECT)]
    return max(rate for rate in rates if rate)


def _write(path, size, flags):
    """The rate of one way to write; None where the file system refuses it."""
    try:
        file = os.open(path, os.O_CREAT | os.O_WRONLY | flags)
    except OSError:
        return None
    # whole pages, as writing past the page cache demands
    with mmap.mmap(-1, SYNC_BYTES) as memory:
        memory[:] = os.urandom(SYNC_BYTES)
        step = SYNC_BYTES if flags else BLOCK_BYTES
        try:
            began = time.perf_counter()
            written = 0
            while written < size:
                for at in range(0, SYNC_BYTES, step):
                    with memoryview(memory) as whole, whole[at : at + step] as block:
                        written += os.write(file, block)
                os.fdatasync(file)
            return written / (time.perf_counter() - began) / 1e6
        finally:
            os.close(file)
            path.unlink()
