package io.sluice.flink.client;

import org.apache.flink.annotation.Internal;

import java.util.UUID;

/** The receipt of a prepared transaction. */
@Internal
public final class PreparedTransaction {
    public final UUID txnId;
    public final int subtask;
    public final long writerEpoch;
    public final long events;
    public final long bytes;

    public PreparedTransaction(UUID txnId, int subtask, long writerEpoch, long events, long bytes) {
        this.txnId = txnId;
        this.subtask = subtask;
        this.writerEpoch = writerEpoch;
        this.events = events;
        this.bytes = bytes;
    }
}
