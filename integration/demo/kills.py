"""The five kills: when, whom, and how it is made sure that each one really hit a running job.

A kill counts only if just before it the job and all its tasks were RUNNING, the job had still something to commit, and
the process that died was the right one, alive until then; and if afterwards the same job, still not done, completed
further checkpoints and committed further events.
"""

import time
from dataclasses import dataclass

from failure import Failure
from flink import ENDED

# (how much of the job's events is committed, who dies then)
PLAN = (
    (0.10, "TaskManager"),
    (0.26, "gateway"),
    (0.42, "TaskManager"),
    (0.58, "JobManager"),
    (0.74, "gateway"),
)
RECOVERY_TIMEOUT_S = 180
STALL_TIMEOUT_S = 120
GATEWAY_DEAD_FOR_S = 1.5
POLL_S = 0.25


@dataclass
class Kill:
    victim: str
    pid: int
    committed: int  # events of the result that were committed when it died
    checkpoint: int  # the newest completed checkpoint at that moment
    back_after_s: float = 0.0


class Killer:
    def __init__(self, cluster, gateway, job_id, events_total, committed):
        self.cluster = cluster
        self.gateway = gateway
        self.job_id = job_id
        self.events_total = events_total
        self.committed = committed  # () -> events committed to the result, None while nobody can tell
        self.kills = []

    def carry_out(self, step, plan=PLAN):
        for share, victim in plan:
            committed = self._wait_for_share(share, step)
            kill = self._strike(victim, committed)
            step.say(
                f"kill -9 {kill.pid} ({victim}), after {committed:,} of {self.events_total:,} events "
                f"and checkpoint {kill.checkpoint}"
            )
            self._wait_for_recovery(kill, step)
            self.kills.append(kill)
            step.say(f"  {victim} started again; the job went on by itself after {kill.back_after_s:.1f} s")

    def _wait_for_share(self, share, step):
        """Until that much is committed and everything runs; returns how many events are committed."""
        most, moved_at = -1, time.monotonic()
        while True:
            state = self.cluster.job_state(self.job_id)
            committed = self.committed()
            if state in ENDED:
                self._fail(f"the job was {state} before kill {len(self.kills) + 1} could land inside it")
            if (committed or 0) > most:
                most, moved_at = committed or 0, time.monotonic()
            if time.monotonic() - moved_at > STALL_TIMEOUT_S:
                self._fail(f"nothing was committed for {STALL_TIMEOUT_S} s, the job is {state or 'unknown to Flink'}")
            if committed is not None:
                step.update(f"{committed:,} of {self.events_total:,} events, {len(self.kills)} kills")
                if share * self.events_total <= committed < self.events_total:
                    if self.cluster.job_runs_fully(self.job_id):
                        return committed
            time.sleep(POLL_S)

    def _strike(self, victim, committed):
        checkpoint = self.cluster.newest_checkpoint(self.job_id)
        if victim == "TaskManager":
            name, process = self._busy_task_manager()
            pid = process.kill_9()
            del self.cluster.task_managers[name]
        elif victim == "JobManager":
            pid = self.cluster.job_manager.kill_9()
        else:
            pid = self.gateway.kill_9()
        kill = Kill(victim, pid, committed, checkpoint)
        self._died_at = time.monotonic()
        if victim == "TaskManager":
            self.cluster.start_task_manager()
        elif victim == "JobManager":
            self.cluster.start_job_manager()
        else:
            time.sleep(GATEWAY_DEAD_FOR_S)
            self.gateway.start()
        return kill

    def _busy_task_manager(self):
        """The TaskManager with the lowest number that runs tasks of the job."""
        names = sorted(self.cluster.task_managers_of(self.job_id))
        if not names:
            raise Failure("Flink names no TaskManager that runs the job", self.cluster.log_files())
        return names[0], self.cluster.task_managers[names[0]]

    def _wait_for_recovery(self, kill, step):
        """Until the job completed a checkpoint begun after the kill and committed more, and every slot is back."""
        deadline = time.monotonic() + RECOVERY_TIMEOUT_S
        while time.monotonic() < deadline:
            state = self.cluster.job_state(self.job_id)
            if state in ENDED:
                self._fail(f"the job was {state} before it was seen to survive the kill of the {kill.victim}")
            # the next checkpoint may have been under way when the kill came
            further = self.cluster.newest_checkpoint(self.job_id) >= kill.checkpoint + 2
            if state == "RUNNING" and further and (self.committed() or 0) > kill.committed:
                kill.back_after_s = time.monotonic() - self._died_at
                self.cluster.wait_for_slots()
                return
            step.update(f"waiting for the job to go on without the killed {kill.victim}")
            time.sleep(POLL_S)
        self._fail(f"the job did not go on within {RECOVERY_TIMEOUT_S} s after the kill of the {kill.victim}")

    def _fail(self, sentence):
        why = "; ".join(line.strip() for line in self.cluster.last_exception(self.job_id)[:2])
        logs = self.cluster.log_files()[:2] + ([self.gateway.process.log] if self.gateway else [])
        raise Failure(f"{sentence}. {why}".removesuffix(". "), logs)
