"""The measured systems: each started from nothing, in a folder of its own, and stopped with everything it wrote removed."""

import json
import os
import shutil
import socket
import time
from pathlib import Path

import kafka_admin
from commands import run
from failure import Failure
from gateway import Gateway
from processes import Processes, free_port

START_TIMEOUT_S = 180
QUIET_TIMEOUT_S = 30
# of this time a server at rest uses less than that share of a core
QUIET_S = 0.5
QUIET_CPU = 0.1
# what kafka-server-start.sh and kafka-run-class.sh of Kafka's own distribution say
BROKER_OPTIONS = (
    "-Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 "
    "-XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true"
).split()
# of a JVM that is gone before compiling well pays
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


class System:
    """One system in `folder`; `tools` says where the binaries are."""

    name = ""
    # what SYSTEMS may call it besides its own name
    family = ""
    # whether its server is a JVM, which gets faster from run to run at first
    warms_up = False
    # of those that only show a limit, once is enough
    rounds_at_most = None
    # whether it is only reached by SQL, and read as a bounded table
    only_tables = False

    def __init__(self, tools, folder):
        self.tools = tools
        self.folder = Path(folder) / self.name
        self.processes = Processes(self.folder)

    def start(self):
        """Starts it; it may be used after `ready`."""
        self.folder.mkdir(parents=True)
        # runs the jobs; starts with the first one
        self.jvm = None
        # rows written to its streams, where later runs read them
        self.rows = {}
        self._start()

    def _start(self):
        pass

    def ready(self):
        """Waits until it is up, so that several come up at the same time."""

    def stop(self):
        if self.jvm:
            self.jvm.stop()
        self.processes.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self):
        """What its processes write."""
        return [process.log for process in self.processes.all] + ([self.jvm.log] if self.jvm else [])

    @property
    def pid(self):
        """The server's process, or None for a system that lives inside Flink."""
        return None

    def job_arguments(self):
        """How the Java jobs find it."""
        return [f"system={self.name}"]

    def stream(self, name):
        """A stream's full name."""
        return name

    def create(self, name, of_bytes=True):
        """An empty stream of two segments, unless the job that writes rows to it makes it."""

    def drop(self, name):
        """Removes a stream with its data."""

    def backlog(self, name):
        """Committed events of a stream that do not lie in their final files yet; None where there is no such thing."""
        return None

    def committed(self, name):
        """How many events of a stream are committed; None where only reading them all would tell."""
        return None

    def publish(self, name):
        """Brings everything committed into its final files."""


class Sluice(System):
    name = "sluice"
    family = "sluice"

    def _start(self):
        self.gateway = Gateway(self.tools.sluice, self.folder, self.processes)
        self.gateway.start()
        self.gateway.command("scope", "create", "bench")

    @property
    def pid(self):
        return self.gateway.process.pid

    @property
    def endpoint(self):
        return self.gateway.endpoint

    def job_arguments(self):
        return ["system=sluice", f"endpoint={self.endpoint}"]

    def stream(self, name):
        return f"bench/{name}"

    def create(self, name, of_bytes=True):
        if of_bytes:
            self.gateway.command("stream", "create", self.stream(name), "--segments", "2")

    def drop(self, name):
        self.gateway.command("stream", "delete", self.stream(name))

    def backlog(self, name):
        segments = json.loads(self.gateway.command("stream", "describe", self.stream(name)))["segments"]
        return sum(int(segment["next_offset"]) - int(segment["parquet_end"]) for segment in segments)

    def expire(self, name):
        """Deletes the finished and published ones of a stream's slices (Slices.java); returns the backlog of all."""
        slices = self._slices(name)
        backlogs = {part: self.backlog(part) for part in slices}
        # transactions of the newest two may still be open
        for part in slices[:-2]:
            if backlogs[part] == 0:
                self.drop(part)
        return sum(backlogs.values())

    def drop_slices(self, name):
        for part in self._slices(name):
            self.drop(part)

    def _slices(self, name):
        """The streams that stand for one, oldest first."""
        listed = json.loads(self.gateway.command("stream", "list", "bench"))
        names = (entry["stream"].removeprefix("bench/") for entry in listed)
        return sorted(part for part in names if part.startswith(f"{name}-"))

    def transactions(self, name):
        """How many transactions of the sink named like a stream are prepared."""
        words = ("txn", "list", "--sink", self.stream(name), "--state", "prepared", "--limit", "1000000")
        return len(json.loads(self.gateway.command(*words)))

    def recover(self):
        """Kills the gateway as a power cut would; returns the seconds from its start to its being ready."""
        self.gateway.kill_9()
        began = time.perf_counter()
        self.gateway.start()
        return time.perf_counter() - began

    def publish(self, name):
        self.gateway.command("stream", "flush", self.stream(name))

    def parquet(self, name):
        """The files of a stream, as a pattern."""
        return str(self.gateway.parquet(self.stream(name)) / "*" / "*.parquet")

    def committed(self, name):
        return self.gateway.committed_events(self.stream(name))


class Kafka(System):
    """A broker in KRaft mode, with the settings of its own distribution but for what one machine and two cores need."""

    name = "kafka"
    family = "kafka"
    warms_up = True
    flush = ""
    broker = None
    admin = None

    def _start(self):
        self.port = free_port()
        controller = free_port()
        properties = self.folder / "server.properties"
        properties.write_text(
            "process.roles=broker,controller\n"
            "node.id=1\n"
            f"controller.quorum.voters=1@127.0.0.1:{controller}\n"
            f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}\n"
            "controller.listener.names=CONTROLLER\n"
            f"log.dirs={self.folder / 'log'}\n"
            "num.partitions=2\n"
            "auto.create.topics.enable=false\n"
            "offsets.topic.replication.factor=1\n"
            "transaction.state.log.replication.factor=1\n"
            "transaction.state.log.min.isr=1\n"
            "group.initial.rebalance.delay.ms=0\n"
            # what is dropped is gone before the next run, not a minute later
            "log.segment.delete.delay.ms=100\n" + self.flush
        )
        self.tool("kafka.tools.StorageTool", "format", "-t", "c2x1aWNlLWJlbmNobWFyaw", "-c", properties, options=SHORT_LIVED)
        argv = ("java", *BROKER_OPTIONS, "-cp", self.tools.broker_classpath, "kafka.Kafka", properties)
        self.broker = self.processes.start(self.name, argv, marker=str(properties))
        admin = ("java", *kafka_admin.OPTIONS, "-cp", self.tools.jobs_classpath, "io.sluice.bench.Main", "kafka-admin")
        self.admin = kafka_admin.KafkaAdmin((*admin, f"endpoint={self.endpoint}"), self.folder / "admin.out")

    def ready(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.broker.running():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.1)
        raise Failure(f"Kafka's broker did not come up within {START_TIMEOUT_S} s", [self.broker.log])

    def stop(self):
        if self.admin:
            self.admin.stop()
        super().stop()

    def tool(self, main, *arguments, timeout_s=120, options=()):
        """What a tool of Kafka's distribution prints."""
        argv = ["java", "-Xmx512m", *options, "-cp", self.tools.broker_classpath, main, *arguments]
        return run(argv, main.rsplit(".", 1)[-1], timeout_s=timeout_s)

    @property
    def pid(self):
        return self.broker.pid if self.broker else None

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"

    def job_arguments(self):
        return ["system=kafka", f"endpoint={self.endpoint}"]

    def create(self, name, of_bytes=True):
        self.admin.ask("create", name, "2")

    def drop(self, name):
        self.admin.ask("delete", name)


class KafkaFlushed(Kafka):
    """Every append is followed by an fsync, of data and of the transactions' state alike."""

    name = "kafka-fsync"
    flush = "log.flush.interval.messages=1\n"


class KafkaAvro(Kafka):
    """For SQL: rows as Avro, the most compact of Flink's formats for Kafka."""

    name = "kafka-avro"

    def job_arguments(self):
        return [*super().job_arguments(), "format=avro"]


class KafkaJson(Kafka):
    """For SQL: rows as JSON, the format most tables have."""

    name = "kafka-json"

    def job_arguments(self):
        return [*super().job_arguments(), "format=json"]


class TableFormat(System):
    """Files that Flink writes by itself: no server, and no fsync either."""

    only_tables = True
    # folder of a table below the warehouse
    pattern = ""

    @property
    def warehouse(self):
        return self.folder / "warehouse"

    def job_arguments(self):
        return [f"system={self.name}", f"endpoint=file://{self.warehouse}"]

    def stream(self, name):
        return name.replace("-", "_")

    def drop(self, name):
        shutil.rmtree(self.warehouse / self.pattern.format(self.stream(name)))


class Paimon(TableFormat):
    name = "paimon"
    family = "paimon"
    pattern = "bench.db/{}"


class Iceberg(TableFormat):
    name = "iceberg"
    family = "iceberg"
    pattern = "bench/{}"


class Nothing(System):
    """No system at all: what generating alone reaches."""

    family = "discard"
    rounds_at_most = 1


class Discard(Nothing):
    name = "discard"


class Blackhole(Nothing):
    """The same for SQL."""

    name = "blackhole"
    only_tables = True

    def job_arguments(self):
        return ["system=blackhole"]


def settle(systems):
    """Waits until what earlier runs left to do is done, so that the next run does not pay for it."""
    os.sync()
    deadline = time.monotonic() + QUIET_TIMEOUT_S
    before = _cpu_of_all(systems)
    while before and time.monotonic() < deadline:
        time.sleep(QUIET_S)
        after = _cpu_of_all(systems)
        if all(after[pid] - before.get(pid, 0.0) < QUIET_CPU * QUIET_S for pid in after):
            return
        before = after


def _cpu_of_all(systems):
    """CPU seconds of every server that runs; one that has died fails in its next run, which says more."""
    used = {}
    for pid in filter(None, (system.pid for system in systems)):
        try:
            used[pid] = cpu_seconds(pid)
        except OSError:
            continue
    return used


ALL = (Sluice, Kafka, KafkaFlushed, KafkaAvro, KafkaJson, Paimon, Iceberg, Discard, Blackhole)
SYSTEMS = {system.name: system for system in ALL}


def cpu_seconds(pid):
    """CPU seconds a process used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reset_peak_memory(pid):
    """From now on the peak of a process's resident memory is counted afresh."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
