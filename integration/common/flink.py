"""A Flink session cluster of separate processes: ZooKeeper, one JobManager, two TaskManagers.

ZooKeeper (the one inside Flink's own distribution) remembers which jobs run and where their newest checkpoint lies. So
when the JobManager is killed, a new one takes the job up again by itself, while the old TaskManagers still run.
"""

import json
import re
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

from commands import run
from failure import Failure
from processes import free_port, tail

TASK_MANAGERS = 2
SLOTS_PER_TASK_MANAGER = 2
START_TIMEOUT_S = 120
SQL_TIMEOUT_S = 300
ENDED = ("FINISHED", "FAILED", "CANCELED")

MARKERS = {
    "zookeeper": "FlinkZooKeeperQuorumPeer",
    "jobmanager": "StandaloneSessionClusterEntrypoint",
    "taskmanager": "TaskManagerRunner",
}


class Cluster:
    def __init__(self, home, run_folder, processes):
        self.home = Path(home)
        self.folder = Path(run_folder) / "flink"
        self.logs = Path(run_folder) / "logs"
        self.processes = processes
        self.rest_port = free_port()
        self.zookeeper_ports = (free_port(), free_port(), free_port())
        self.checkpoints = self.folder / "checkpoints"
        self.job_manager = None
        self.task_managers = {}  # resource id -> Process
        self._started = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.rest_port}"

    # -- starting -------------------------------------------------------------------------------------------------

    def start(self):
        self._write_configuration()
        # `zookeeper.sh start-foreground` drops the arguments that name the configuration, so its last step is done here
        arguments = ("--zkConfigFile", self._conf / "zoo.cfg", "--peerId", "1")
        self._launch("zookeeper", "flink-console.sh", "zookeeper", *arguments)
        self.start_job_manager()
        for _ in range(TASK_MANAGERS):
            self.start_task_manager()
        self.wait_for_slots()

    def start_job_manager(self):
        self.job_manager = self._launch("jobmanager", "jobmanager.sh", "start-foreground")

    def start_task_manager(self):
        self._started += 1
        name = f"taskmanager-{self._started}"
        argument = f"-Dtaskmanager.resource-id={name}"
        process = self._launch("taskmanager", "taskmanager.sh", "start-foreground", argument, name=name)
        self.task_managers[name] = process

    def wait_for_slots(self):
        """Until every slot of every TaskManager is registered."""
        wanted = TASK_MANAGERS * SLOTS_PER_TASK_MANAGER

        def registered():
            return self.get("/overview").get("slots-total", 0) >= wanted

        self._wait(registered, START_TIMEOUT_S, f"Flink did not come up with {wanted} slots")

    def _launch(self, kind, script, *arguments, name=None):
        log = self.logs / "flink"
        log.mkdir(parents=True, exist_ok=True)
        return self.processes.start(
            name or kind,
            [self.home / "bin" / script, *arguments],
            MARKERS[kind],
            env=self.environment(name or kind),
        )

    def environment(self, name):
        return {
            "FLINK_HOME": str(self.home),
            "FLINK_CONF_DIR": str(self._conf),
            "FLINK_LOG_DIR": str(self.logs / "flink"),
            "FLINK_PID_DIR": str(self.folder / "pids"),
            "FLINK_IDENT_STRING": name,
        }

    @property
    def _conf(self):
        return self.folder / "conf"

    def _write_configuration(self):
        for part in ("conf", "pids", "tmp", "zookeeper"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        for original in (self.home / "conf").glob("log*"):
            shutil.copy(original, self._conf)
        client, quorum, election = self.zookeeper_ports
        (self._conf / "zoo.cfg").write_text(
            f"tickTime=1000\ninitLimit=10\nsyncLimit=5\nadmin.enableServer=false\n"
            f"dataDir={self.folder / 'zookeeper'}\nclientPort={client}\nclientPortAddress=127.0.0.1\n"
            f"server.1=127.0.0.1:{quorum}:{election}\n"
        )
        settings = {
            "env.java.opts.all": self._module_options(),
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.bind-host": "127.0.0.1",
            "taskmanager.host": "127.0.0.1",
            "taskmanager.bind-host": "127.0.0.1",
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.port": self.rest_port,
            "jobmanager.memory.process.size": "1024m",
            "taskmanager.memory.process.size": "1600m",
            "taskmanager.memory.task.off-heap.size": "128m",
            "taskmanager.memory.jvm-metaspace.size": "320m",
            "taskmanager.memory.managed.fraction": "0.1",
            "taskmanager.numberOfTaskSlots": SLOTS_PER_TASK_MANAGER,
            "taskmanager.load-balance.mode": "SLOTS",
            "io.tmp.dirs": self.folder / "tmp",
            "web.tmpdir": self.folder / "tmp",
            # A dead process is noticed within seconds, and the job is tried again one second later.
            "heartbeat.interval": "1000",
            "heartbeat.timeout": "10000",
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": "1000",
            "restart-strategy.fixed-delay.delay": "1 s",
            "execution.checkpointing.dir": f"file://{self.checkpoints}",
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            "execution.checkpointing.tolerable-failed-checkpoints": "1000",
            "execution.checkpointing.timeout": "60 s",
            "high-availability.type": "zookeeper",
            "high-availability.zookeeper.quorum": f"127.0.0.1:{client}",
            "high-availability.zookeeper.client.session-timeout": "6000",
            "high-availability.cluster-id": "/demo",
            "high-availability.storageDir": f"file://{self.folder / 'high-availability'}",
            # what the REST interface says about a job may be this old; a kill is judged by it
            "web.refresh-interval": "300",
        }
        lines = [f"{key}: {json.dumps(str(value))}" for key, value in settings.items()]
        (self._conf / "config.yaml").write_text("\n".join(lines) + "\n")

    def _module_options(self):
        """The --add-opens list of the distribution's own configuration."""
        original = (self.home / "conf" / "config.yaml").read_text()
        return re.search(r"^\s+all:\s*(--add-.*)$", original, re.MULTILINE).group(1)

    # -- SQL ------------------------------------------------------------------------------------------------------

    def submit(self, name, sql, jars=()):
        """Runs a SQL script through Flink's own `sql-client.sh` and returns the id of the one job it starts."""
        script = self.folder / f"{name}.sql"
        script.write_text(sql)
        command = [str(self.home / "bin" / "sql-client.sh")]
        for jar in jars:
            command += ["-j", str(jar)]
        log = self.logs / f"sql-client-{name}.out"
        printed = run(
            [*command, "-f", script],
            f"the SQL script {script}",
            env=self.environment("sql-client"),
            log=log,
            timeout_s=SQL_TIMEOUT_S,
        )
        ids = re.findall(r"Job ID: ([0-9a-f]{32})", printed)
        if "[ERROR]" in printed or len(ids) != 1:
            raise Failure(f"Flink refused the SQL script {script}", [log])
        return ids[0]

    # -- asking ---------------------------------------------------------------------------------------------------

    def get(self, path):
        """An answer of the REST interface; {} while nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return json.load(answer)
        except (OSError, ValueError, urllib.error.URLError):
            return {}

    def job_state(self, job_id):
        """The state of a job, or "" while the JobManager does not answer."""
        return self.get(f"/jobs/{job_id}").get("state", "")

    def job_runs_fully(self, job_id):
        """Whether the job and every single task of it are running."""
        job = self.get(f"/jobs/{job_id}")
        states = [vertex["status"] for vertex in job.get("vertices", [])]
        # a source that has read all its input may be FINISHED while the rest goes on
        return job.get("state") == "RUNNING" and "RUNNING" in states and set(states) <= {"RUNNING", "FINISHED"}

    def newest_checkpoint(self, job_id):
        """The number of the newest completed checkpoint, 0 when there is none."""
        latest = self.get(f"/jobs/{job_id}/checkpoints").get("latest") or {}
        ids = [entry["id"] for entry in (latest.get("completed"), latest.get("restored")) if entry]
        return max(ids, default=0)

    def task_managers_of(self, job_id):
        """The names of the TaskManagers that run tasks of the job now."""
        names = set()
        for vertex in self.get(f"/jobs/{job_id}").get("vertices", []):
            if vertex["status"] == "RUNNING":
                found = self.get(f"/jobs/{job_id}/vertices/{vertex['id']}/taskmanagers").get("taskmanagers", [])
                names |= {entry["taskmanager-id"] for entry in found if entry["status"] == "RUNNING"}
        return names & set(self.task_managers)

    def last_exception(self, job_id):
        text = self.get(f"/jobs/{job_id}/exceptions?maxExceptions=1").get("exceptionHistory", {}).get("entries", [])
        return text[0].get("stacktrace", "").strip().splitlines()[:6] if text else []

    def wait_for_end(self, job_id, step, progress, timeout_s):
        """Until the job has finished; fails if it ends in any other way."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            state = self.job_state(job_id)
            if state == "FINISHED":
                return
            if state in ENDED:
                why = "; ".join(line.strip() for line in self.last_exception(job_id)[:2])
                raise Failure(f"the Flink job ended as {state}: {why}", self.log_files())
            step.update(progress())
            time.sleep(0.5)
        raise Failure(f"the Flink job was not done after {timeout_s} s", self.log_files())

    def log_files(self):
        """JobManager and TaskManager logs, newest first."""
        found = list((self.logs / "flink").glob("*.log"))
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)

    def _wait(self, condition, timeout_s, sentence):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if condition():
                return
            for process in self.processes.all:
                if not process.running() and process.popen.returncode not in (-9, 0):
                    last = " | ".join(tail(process.log, 2))
                    raise Failure(
                        f"{process.name} ended with exit code {process.popen.returncode}: {last}", [process.log]
                    )
            time.sleep(0.3)
        raise Failure(sentence, self.log_files())
