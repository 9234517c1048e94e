package io.sluice.flink.source.enumerator;

import io.sluice.flink.source.split.SluiceSplit;
import java.util.Objects;
import org.apache.flink.annotation.Internal;

/** A segment the source reads, as the enumerator knows it. Immutable. */
@Internal
public final class SegmentProgress {
    private final SluiceSplit split;
    private final boolean assigned;

    public SegmentProgress(SluiceSplit split, boolean assigned) {
        this.split = Objects.requireNonNull(split);
        this.assigned = assigned;
    }

    /** The segment's range as it was resolved when the job started. Readers know how far it is read. */
    public SluiceSplit split() {
        return split;
    }

    /** Whether a reader holds the split in its state. */
    public boolean assigned() {
        return assigned;
    }

    SegmentProgress assignedTo(boolean someReader) {
        return new SegmentProgress(split, someReader);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof SegmentProgress
                && split.equals(((SegmentProgress) other).split)
                && assigned == ((SegmentProgress) other).assigned;
    }

    @Override
    public int hashCode() {
        return Objects.hash(split, assigned);
    }

    @Override
    public String toString() {
        return split + (assigned ? " assigned" : " unassigned");
    }
}
