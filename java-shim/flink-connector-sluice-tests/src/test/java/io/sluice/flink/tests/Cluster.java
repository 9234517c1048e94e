package io.sluice.flink.tests;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.runtime.testutils.InMemoryReporter;
import org.apache.flink.runtime.testutils.MiniClusterResourceConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.test.util.MiniClusterWithClientResource;

/** A small Flink cluster inside the test's JVM, and what tests do with jobs. */
final class Cluster implements AutoCloseable {
    private static final Duration POLL = Duration.ofMillis(20);

    final InMemoryReporter metrics = InMemoryReporter.createWithRetainedMetrics();
    private final MiniClusterWithClientResource cluster;

    private Cluster(int taskManagers, int slots) {
        cluster = new MiniClusterWithClientResource(new MiniClusterResourceConfiguration.Builder()
                .setNumberTaskManagers(taskManagers)
                .setNumberSlotsPerTaskManager(slots)
                .setConfiguration(metrics.addToConfiguration(new Configuration()))
                .build());
    }

    static Cluster start(int taskManagers, int slots) throws Exception {
        Cluster started = new Cluster(taskManagers, slots);
        started.cluster.before();
        return started;
    }

    /** An environment that restarts jobs at once, up to so many times. */
    static StreamExecutionEnvironment environment(int parallelism, Duration checkpointInterval, int restarts) {
        Configuration configuration = new Configuration();
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY, "fixed-delay");
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_ATTEMPTS, restarts);
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_DELAY, Duration.ofMillis(50));
        if (checkpointInterval != null) {
            configuration.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, checkpointInterval);
        }
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        env.setParallelism(parallelism);
        return env;
    }

    /** Waits for a job's regular end. */
    static void finish(JobClient job, Duration timeout) throws Exception {
        try {
            job.getJobExecutionResult().get(timeout.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            job.cancel();
            throw new AssertionError("the job did not end within " + timeout, e);
        }
    }

    /** Waits until something holds. */
    static void await(String what, Duration timeout, BooleanSupplier holds) throws InterruptedException {
        long deadline = System.nanoTime() + timeout.toNanos();
        while (!holds.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError(what + " did not happen within " + timeout);
            }
            Thread.sleep(POLL.toMillis());
        }
    }

    /** Cancels a job and waits until it is gone. */
    static void cancel(JobClient job) throws Exception {
        job.cancel().get();
        await("the job's end", Duration.ofSeconds(30), () -> {
            try {
                return job.getJobStatus().get().isGloballyTerminalState();
            } catch (Exception e) {
                return true;
            }
        });
    }

    static boolean runs(JobClient job) {
        try {
            return job.getJobStatus().get() == JobStatus.RUNNING;
        } catch (Exception e) {
            return false;
        }
    }

    /** How often a job was restarted. */
    long restarts(JobClient job) {
        return metrics.findJobMetricGroups(job.getJobID(), "numRestarts").stream()
                .mapToLong(metric -> ((Number) ((Gauge<?>) metric.f2).getValue()).longValue())
                .max()
                .orElseThrow(() -> new AssertionError("the job has no metric numRestarts"));
    }

    /** How many checkpoints of a job completed. */
    long checkpoints(JobClient job) {
        return metrics.findJobMetricGroups(job.getJobID(), "numberOfCompletedCheckpoints").stream()
                .mapToLong(metric -> ((Number) ((Gauge<?>) metric.f2).getValue()).longValue())
                .max()
                .orElse(0);
    }

    @Override
    public void close() {
        cluster.after();
    }
}
