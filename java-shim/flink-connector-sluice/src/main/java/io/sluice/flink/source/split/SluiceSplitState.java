package io.sluice.flink.source.split;

import org.apache.flink.annotation.Internal;

/** How far a split is emitted. Used by the task thread only. */
@Internal
public final class SluiceSplitState {
    private final SluiceSplit split;
    private long offset;

    public SluiceSplitState(SluiceSplit split) {
        this.split = split;
        this.offset = split.offset();
    }

    /** The next event to emit. */
    public long offset() {
        return offset;
    }

    /** Says that everything below {@code next} is emitted. */
    public void advanceTo(long next) {
        offset = next;
    }

    public SluiceSplit split() {
        return split;
    }

    /** The split as a checkpoint stores it. */
    public SluiceSplit toSplit() {
        return split.at(offset);
    }
}
