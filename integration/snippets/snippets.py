#!/usr/bin/env python3
"""`make test-snippets`: what README.md and docs/flink.md tell their readers to run is run, as it is written.

A real gateway on the default ports, a real Flink cluster with the SQL client on a terminal, javac, cargo and DuckDB.
Each fenced block, and each command inside a sentence, has to be in `Session.RUN` or, with the reason, in NOT_RUN.

The gateway is the binary that SLUICE_BINARY names, else one that cargo builds.
"""

import json
import os
import re
import shutil
import signal
import socket
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import documents  # noqa: E402
import flink_distribution  # noqa: E402
import gateway  # noqa: E402
from cache import Cache  # noqa: E402
from commands import run  # noqa: E402
from console import Console  # noqa: E402
from failure import Failure  # noqa: E402
from flink import Cluster  # noqa: E402
from processes import Processes, tail  # noqa: E402
from sql_terminal import PROMPT, SqlTerminal  # noqa: E402

WRAPPER = HERE / "DataStreamSnippet.java"
DOCUMENTS = ("README.md", "docs/flink.md")
PORTS = (9090, 9091)
LINE_TIMEOUT_S = 60
BUILD_TIMEOUT_S = 900
SQL_TIMEOUT_S = 240

# What is not run here, and why.
NOT_RUN = {
    ("README.md", "Sluice", ""): "a picture",
    ("README.md", "Try it", ""): "`make demo` takes minutes of its own, `make test` holds this test",
    ("README.md", "make demo"): "minutes of its own",
    ("README.md", "make demo BREAK=drop"): "minutes of its own",
    ("README.md", "make demo-keep"): "leaves processes running",
    ("README.md", "make demo-stop"): "belongs to demo-keep",
    ("README.md", "mvn -f java-shim -DskipTests package"): "builds the jar that is used here",
    ("README.md", "sql-client.sh -j <jar>"): "the SQL block is typed into it",
    ("docs/flink.md", "make test-flink"): "a test of its own",
    ("docs/flink.md", "mvn -f java-shim -DskipTests package"): "builds the jar that is used here",
}


class Session:
    """One gateway, one Flink cluster, and what a reader of the documents does with them, in the order of README.md."""

    def __init__(self, cache, console):
        self.cache = cache
        self.console = console
        for port in PORTS:
            _check_free(port)
        self.folder = cache.new_run()
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self.processes = Processes(self.folder)
        self.target = Path(os.environ.get("CARGO_TARGET_DIR") or cache.folder / "target").expanduser().resolve()
        os.environ["CARGO_TARGET_DIR"] = str(self.target)

    def prepare(self):
        self.java = flink_distribution.check_java()
        maven = flink_distribution.check_maven()
        gateway.check_cargo()
        with self.console.step("the gateway, Flink, the connector and DuckDB") as step:
            binary = os.environ.pop("SLUICE_BINARY", None) or gateway.build(self.cache, step)
            # the gateway takes every SLUICE_ variable for one of its own settings
            for name in [name for name in os.environ if name.startswith("SLUICE_")]:
                del os.environ[name]
            self.jar = gateway.build_connector(maven, step)
            self.flink_home = flink_distribution.distribution(self.cache, step)
            programs = self.folder / "bin"
            programs.mkdir()
            (programs / "sluice").symlink_to(Path(binary).resolve())
            (programs / "duckdb").symlink_to(self.cache.duckdb_cli(step) / "duckdb")
            os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"

    # -- README.md ------------------------------------------------------------------------------------------------

    def run_a_gateway(self, snippet):
        printed = ""
        for line in snippet.text.splitlines():
            if line.startswith("cargo build "):
                continue  # `prepare` has built or been given the gateway
            if line.startswith("sluice serve"):
                self.processes.start("gateway", ["bash", "-c", line], "sluice serve", cwd=self.scratch)
                self._wait_until_healthy()
            else:
                printed = self._shell(line)
        _expect_rows("`sluice read`", _json_lines(printed), [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])

    def flink_sql(self, snippet):
        cluster = Cluster(self.flink_home, self.folder, self.processes)
        cluster.start()
        command = [self.flink_home / "bin" / "sql-client.sh", "-hist", self.folder / "history", "-j", self.jar]
        with SqlTerminal(self.processes, command, cluster.environment("sql-client")) as terminal:
            terminal.wait_for("the prompt", PROMPT, timeout_s=LINE_TIMEOUT_S)
            terminal.type(snippet.text)
            terminal.wait_for("the result of the SELECT", r"\bAA\s+1\b", r"\bUA\s+1\b", timeout_s=SQL_TIMEOUT_S)
        rows = [
            {"row_id": 1, "carrier": "AA", "distance": 1400},
            {"row_id": 2, "carrier": "UA", "distance": 2475},
        ]
        _expect_rows("the stream nyc/flights", _json_lines(self._shell("sluice read nyc/flights")), rows)

    def flink_datastream(self, snippet):
        source = self.folder / "java" / WRAPPER.name
        source.parent.mkdir()
        source.write_text(WRAPPER.read_text().replace("@SNIPPET@", snippet.text))
        classpath = f"{self.jar}{os.pathsep}{self.flink_home / 'lib'}/*"
        javac = Path(self.java).with_name("javac") if os.environ.get("JAVA_HOME") else "javac"
        run([javac, "-cp", classpath, "-d", source.parent, source], f"compiling {snippet}", timeout_s=BUILD_TIMEOUT_S)
        opens = [f"--add-opens={package}=ALL-UNNAMED" for package in ("java.base/java.util", "java.base/java.lang")]
        logs = f"-Dlog4j.configurationFile={self.flink_home / 'conf' / 'log4j-cli.properties'}"
        logs_to = f"-Dlog.file={source.parent / 'flink.log'}"
        command = [self.java, *opens, logs, logs_to, "-cp", f"{source.parent}{os.pathsep}{classpath}", source.stem]
        printed = run(command, f"{snippet}", timeout_s=SQL_TIMEOUT_S)
        read = re.findall(r"^read back: (.*)$", printed, re.MULTILINE)
        _expect_rows("the source", read, ["home", "search", "basket"])

    def rust(self, snippet):
        # integration/build.rs takes the snippet out of README.md
        command = ["cargo", "run", "-q", "--example", "readme"]
        run(command, f"{snippet}", cwd=gateway.REPOSITORY, timeout_s=BUILD_TIMEOUT_S)
        read = _json_lines(self._shell("sluice read nyc/sensors"))
        if {"key": "sensor-1", "value": "21.5"} not in read:
            raise Failure(f"{snippet} ran, but its event is not in nyc/sensors: {read}")

    def duckdb(self, snippet):
        printed = [self._shell(line) for line in snippet.text.splitlines()][-1]
        rows = sorted(re.findall(r"\b([A-Z]{2})\W+(\d+)\b", printed))
        _expect_rows("the query over the Parquet files", rows, [("AA", "1"), ("UA", "1")])

    # -- commands inside sentences --------------------------------------------------------------------------------

    def prints(pattern, more=""):
        """A command that must succeed and print this; `more`: what the sentence leaves to the reader."""

        def check(self, snippet):
            where = gateway.REPOSITORY if snippet.text.startswith("cargo ") else self.scratch
            printed = self._shell(snippet.text + more, where, BUILD_TIMEOUT_S)
            if not re.search(pattern, printed):
                raise Failure(f"{snippet} printed nothing like `{pattern}`:\n{printed[-2000:]}")

        return check

    RUN = {
        ("README.md", "Run a gateway", ""): run_a_gateway,
        ("README.md", "sluice --help"): prints(r"serve +Run the gateway"),
        ("README.md", "sluice serve --dump-config"): prints(r'listen = "127\.0\.0\.1:9090"'),
        ("README.md", "Flink SQL", "sql"): flink_sql,
        ("README.md", "Flink DataStream", "java"): flink_datastream,
        ("README.md", "Rust", "rust"): rust,
        ("README.md", "cargo run --example produce"): prints(r"event \S+ is durable"),
        ("README.md", "cargo run --example transaction"): prints(r"4 events became visible together"),
        ("README.md", "cargo run --example read"): prints(r"1001 events; the next"),
        ("README.md", "cargo run --example group"): prints(r"1001 events handled, 0 behind"),
        ("README.md", "cargo run --example scan"): prints(r"segment \d offsets 0\.\.\d+ in \S+parquet"),
        ("README.md", "DuckDB, Spark, pyarrow", ""): duckdb,
        ("README.md", "sluice scan nyc/flights"): prints(r"parquet/nyc/flights/segment-"),
        ("docs/flink.md", "sluice group show"): prints(r"examples/sensors", more=" examples/dashboard"),
    }

    # -- small things ---------------------------------------------------------------------------------------------

    def _shell(self, line, where=None, timeout_s=LINE_TIMEOUT_S):
        """What a line prints that is typed into a shell."""
        return run(["bash", "-o", "pipefail", "-c", line], f"`{line}`", cwd=where or self.scratch, timeout_s=timeout_s)

    def _wait_until_healthy(self):
        deadline = time.monotonic() + LINE_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORTS[1]}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        raise Failure("the gateway of `sluice serve` was not healthy in time", [self.folder / "logs" / "gateway.out"])


def _check_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise Failure(
                f"port {port} of 127.0.0.1 is taken, and the README's commands use it as it is: end what listens there "
                "(perhaps a gateway) and try again"
            ) from None


def _json_lines(printed):
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def _expect_rows(where, rows, expected):
    """The same rows in any order: they come from several segments."""
    if sorted(map(str, rows)) != sorted(map(str, expected)):
        raise Failure(f"{where} gave {rows} instead of {expected}")


def plan():
    """All snippets in the order of the documents; fails if one is neither run nor named as not run."""
    found = []
    for document in DOCUMENTS:
        found += documents.snippets(document, (gateway.REPOSITORY / document).read_text())
    known = {**Session.RUN, **NOT_RUN}
    for snippet in found:
        if snippet.key not in known:
            raise Failure(f"{snippet} is neither run nor named as not run: add it to Session.RUN or to NOT_RUN")
    for key in known:
        if sum(snippet.key == key for snippet in found) != 1:
            raise Failure(f"{key} is to stand in its document once; correct Session.RUN or NOT_RUN")
    return [snippet for snippet in found if snippet.key in Session.RUN]


def main():
    cache = Cache()
    console = Console(stages_total=1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    session = None
    done, well = 0, False
    try:
        snippets = plan()
        session = Session(cache, console)
        session.prepare()
        for snippet in snippets:
            with console.step(str(snippet)):
                Session.RUN[snippet.key](session, snippet)
            done += 1
        well = True
        console.plain(f"snippets: {done} of {len(snippets)} run as written")
        return 0
    except Failure as failure:
        console.plain(f"\nThe snippet test failed: {failure}")
        for log in failure.logs[:2]:
            console.plain("\n".join([f"  the last lines of {log}:", *("    " + line[:300] for line in tail(log))]))
        return 1
    finally:
        if session is not None:
            session.processes.stop_all()
            if well:
                shutil.rmtree(session.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
