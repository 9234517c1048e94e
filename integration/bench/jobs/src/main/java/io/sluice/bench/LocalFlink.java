package io.sluice.bench;

import java.time.Duration;
import org.apache.flink.api.common.JobID;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.configuration.DeploymentOptions;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.runtime.checkpoint.AbstractCheckpointStats;
import org.apache.flink.runtime.checkpoint.CheckpointStatsSnapshot;
import org.apache.flink.runtime.checkpoint.CheckpointStatsStatus;
import org.apache.flink.runtime.jobmaster.JobResult;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Flink inside this JVM: one TaskManager, jobs of parallelism 2 with object reuse, and no second try for a job that fails. */
final class LocalFlink implements AutoCloseable {
    static final int PARALLELISM = 2;

    private static final int SLOTS = 6;

    private final MiniCluster cluster;

    private LocalFlink(MiniCluster cluster) {
        this.cluster = cluster;
    }

    static LocalFlink start() throws Exception {
        Configuration configuration = new Configuration();
        configuration.set(RestOptions.PORT, 0);
        configuration.set(RestOptions.BIND_ADDRESS, "127.0.0.1");
        configuration.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(128));
        configuration.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(128));
        configuration.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(512));
        MiniCluster cluster = new MiniCluster(new MiniClusterConfiguration.Builder()
                .setConfiguration(configuration)
                .setNumTaskManagers(1)
                .setNumSlotsPerTaskManager(SLOTS)
                .build());
        cluster.start();
        return new LocalFlink(cluster);
    }

    /** The settings of a job that checkpoints in an interval. */
    Configuration settings(Duration checkpointInterval) throws Exception {
        Configuration settings = new Configuration();
        settings.set(DeploymentOptions.TARGET, "remote");
        settings.set(RestOptions.ADDRESS, cluster.getRestAddress().get().getHost());
        settings.set(RestOptions.PORT, cluster.getRestAddress().get().getPort());
        settings.set(CoreOptions.DEFAULT_PARALLELISM, PARALLELISM);
        settings.set(PipelineOptions.OBJECT_REUSE, true);
        settings.set(RestartStrategyOptions.RESTART_STRATEGY, "none");
        settings.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, checkpointInterval);
        return settings;
    }

    StreamExecutionEnvironment environment(Duration checkpointInterval) throws Exception {
        // `getExecutionEnvironment` would start a cluster of its own for each job
        return new StreamExecutionEnvironment(settings(checkpointInterval));
    }

    /** Waits for a job's end and returns the seconds it took; fails with the job's own failure. */
    double await(JobID job) throws Exception {
        JobResult result = cluster.requestJobResult(job).get();
        return result.toJobExecutionResult(getClass().getClassLoader()).getNetRuntime() / 1e3;
    }

    /** Cancels a job and waits until its tasks are gone. */
    void cancel(JobID job) throws Exception {
        cluster.cancelJob(job).get();
        cluster.requestJobResult(job).get();
    }

    /** How long the completed checkpoints of a job took, the newest ones. */
    double[] checkpointMillis(JobID job) throws Exception {
        CheckpointStatsSnapshot checkpoints = cluster.getExecutionGraph(job).get().getCheckpointStatsSnapshot();
        if (checkpoints == null) {
            // a batch job has none
            return new double[0];
        }
        return checkpoints.getHistory().getCheckpoints().stream()
                .filter(checkpoint -> checkpoint.getStatus() == CheckpointStatsStatus.COMPLETED)
                .mapToDouble(AbstractCheckpointStats::getEndToEndDuration)
                .toArray();
    }

    @Override
    public void close() throws Exception {
        cluster.close();
    }
}
