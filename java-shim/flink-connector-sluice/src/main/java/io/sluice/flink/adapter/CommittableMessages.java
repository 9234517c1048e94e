package io.sluice.flink.adapter;

import org.apache.flink.annotation.Internal;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.connector.sink2.CommittableSummary;
import org.apache.flink.streaming.api.connector.sink2.CommittableWithLineage;

/**
 * Messages between writer, aggregator and committer. Their checkpoint getter has another name in each Flink version, so
 * nobody asks them: the operator's own callbacks tell the checkpoint.
 */
@Internal
public final class CommittableMessages {

    private CommittableMessages() {}

    /** Announces {@code count} committables of a checkpoint, from a single subtask. */
    @SuppressWarnings("deprecation") // the constructor that 1.20 and 2.x share
    public static <T> CommittableMessage<T> summary(long checkpointId, int count) {
        return new CommittableSummary<>(0, 1, checkpointId, count, count, 0);
    }

    /** One committable of a checkpoint, from the single subtask. */
    public static <T> CommittableMessage<T> committable(T committable, long checkpointId) {
        return new CommittableWithLineage<>(committable, checkpointId, 0);
    }
}
