package io.sluice.flink.adapter;

import org.apache.flink.annotation.Internal;
import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.dag.Transformation;
import org.apache.flink.configuration.ExecutionOptions;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.transformations.WithBoundedness;

/** How a job will run, asked while its graph is built. */
@Internal
public final class ExecutionModes {

    private ExecutionModes() {}

    /** Whether the job commits once, at its end: BATCH, or streaming without checkpoints. */
    public static boolean commitsOnlyAtEnd(StreamExecutionEnvironment environment) {
        if (!environment.getCheckpointConfig().isCheckpointingEnabled()) {
            return true;
        }
        RuntimeExecutionMode mode = environment.getConfiguration().get(ExecutionOptions.RUNTIME_MODE);
        switch (mode) {
            case BATCH:
                return true;
            case AUTOMATIC:
                return environment.getTransformations().stream().allMatch(ExecutionModes::bounded);
            case STREAMING:
                return false;
        }
        throw new IllegalStateException("no such mode: " + mode);
    }

    private static boolean bounded(Transformation<?> transformation) {
        return transformation.getTransitivePredecessors().stream()
                .filter(one -> one instanceof WithBoundedness)
                .allMatch(one -> ((WithBoundedness) one).getBoundedness() == Boundedness.BOUNDED);
    }
}
