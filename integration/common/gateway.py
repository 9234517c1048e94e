"""The gateway: built with cargo, run as a process, asked through its own command line."""

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

from commands import run
from failure import Failure
from processes import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
SHIM = REPOSITORY / "java-shim"
START_TIMEOUT_S = 60


def check_cargo():
    """Returns the path of cargo, or says what to install."""
    cargo = shutil.which("cargo")
    if not cargo:
        raise Failure("Rust is missing: install it from https://rustup.rs")
    return cargo


def build(cache, step):
    """The `sluice` binary, built from this clone into the cache folder."""
    cargo = check_cargo()
    target = Path(os.environ.get("CARGO_TARGET_DIR") or cache.folder / "target").expanduser().resolve()
    run(
        [cargo, "build", "--release", "--locked", "--manifest-path", REPOSITORY / "Cargo.toml", "-p", "sluice-gateway"],
        "building the gateway",
        # cargo draws its progress bar only if told to, as its output is not a terminal here
        env={"CARGO_TARGET_DIR": str(target), "CARGO_TERM_PROGRESS_WHEN": "always", "CARGO_TERM_PROGRESS_WIDTH": "80"},
        step=step,
    )
    return target / "release" / "sluice"


def build_connector(maven, step):
    """The shaded SQL connector, built by Maven unless the jar is newer than every source of it."""
    jar = _connector_jar()
    sources = [*SHIM.glob("**/pom.xml"), *SHIM.glob("*/src/main/**/*"), *(REPOSITORY / "proto").glob("**/*.proto")]
    if jar is None or any(path.is_file() and path.stat().st_mtime > jar.stat().st_mtime for path in sources):
        run([maven, "-q", "-B", "-f", SHIM, "-DskipTests", "package"], "building the Flink connector", step=step)
        jar = _connector_jar()
    if jar is None:
        raise Failure(f"Maven built no connector jar below {SHIM / 'flink-sql-connector-sluice' / 'target'}")
    return jar


def _connector_jar():
    found = [
        path
        for path in (SHIM / "flink-sql-connector-sluice" / "target").glob("flink-sql-connector-sluice-*.jar")
        if not path.stem.endswith(("-sources", "-javadoc", "-tests", "-shaded"))
    ]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


class Gateway:
    def __init__(self, binary, run_folder, processes):
        self.binary = binary
        self.data = Path(run_folder) / "sluice-data"
        self.processes = processes
        self.port = free_port()
        self.http_port = free_port()
        self.process = None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def http(self):
        return f"http://127.0.0.1:{self.http_port}"

    def parquet(self, stream):
        """The folder where a stream's Parquet files lie."""
        return self.data / "parquet" / stream

    def start(self):
        """Starts it, again on the same ports and data after a kill, and waits until it says that it is healthy."""
        addresses = ("--listen", f"127.0.0.1:{self.port}", "--http-listen", f"127.0.0.1:{self.http_port}")
        argv = (self.binary, "serve", "--data-dir", self.data, *addresses)
        self.process = self.processes.start("gateway", argv, marker=str(self.data))
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._healthy():
            if not self.process.running():
                code = self.process.popen.returncode
                raise Failure(f"the gateway ended with exit code {code} while starting", [self.process.log])
            if time.monotonic() > deadline:
                raise Failure(f"the gateway was not healthy after {START_TIMEOUT_S} s", [self.process.log])
            time.sleep(0.1)

    def kill_9(self):
        return self.process.kill_9()

    def command(self, *words):
        """What `sluice <words>` answers."""
        argv = [self.binary, "--endpoint", self.endpoint, "--output", "json", *words]
        return run(argv, f"`sluice {' '.join(words)}`", timeout_s=300)

    def committed_events(self, stream):
        """How many events of a stream are committed; None while the gateway or the stream is not there."""
        try:
            answer = self.command("stream", "describe", stream)
        except Failure:
            return None
        try:
            return sum(int(segment["next_offset"]) for segment in json.loads(answer)["segments"])
        except (ValueError, KeyError, TypeError):
            # not a Failure from above: this would never get better by waiting
            raise Failure(
                f"`sluice stream describe` answered without segments and their next_offset: {answer[:300]}"
            ) from None

    def _healthy(self):
        try:
            with urllib.request.urlopen(f"{self.http}/health", timeout=2) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False
