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

    /**
     * The segment's range: where it starts as resolved at the job's start; with a reader group, how far it was read at the last completed
     * checkpoint. Readers alone know how far it is read now.
     */
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

    SegmentProgress at(SluiceSplit position) {
        return new SegmentProgress(position, assigned);
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
