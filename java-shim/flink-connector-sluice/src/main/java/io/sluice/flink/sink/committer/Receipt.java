package io.sluice.flink.sink.committer;

import io.sluice.flink.client.PreparedTransaction;
import org.apache.flink.annotation.Internal;

import java.util.Objects;
import java.util.UUID;

/** What a writer hands to the aggregator: a transaction that is prepared and waits for its group. */
@Internal
public final class Receipt {
    final UUID txnId;
    final int subtask;
    final long writerEpoch;
    final long events;
    final long bytes;

    Receipt(UUID txnId, int subtask, long writerEpoch, long events, long bytes) {
        this.txnId = txnId;
        this.subtask = subtask;
        this.writerEpoch = writerEpoch;
        this.events = events;
        this.bytes = bytes;
    }

    /** The receipt of a transaction that was just prepared. */
    public static Receipt of(PreparedTransaction prepared) {
        return new Receipt(prepared.txnId, prepared.subtask, prepared.writerEpoch, prepared.events, prepared.bytes);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Receipt
                && txnId.equals(((Receipt) other).txnId)
                && subtask == ((Receipt) other).subtask
                && writerEpoch == ((Receipt) other).writerEpoch
                && events == ((Receipt) other).events
                && bytes == ((Receipt) other).bytes;
    }

    @Override
    public int hashCode() {
        return Objects.hash(txnId, subtask, writerEpoch, events, bytes);
    }

    @Override
    public String toString() {
        return "Receipt{transaction " + txnId + " of subtask " + subtask + ", " + events + " events}";
    }
}
