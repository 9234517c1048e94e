package io.sluice.flink.source.reader;

import org.apache.flink.annotation.Internal;

/**
 * Events to emit at once: rows of an open block, the current one first. One object serves all runs of a batch.
 *
 * <p>Flink's way around its loop costs more than an event does; a run pays it once. Runs are short, so that checkpoints, watermarks and
 * back pressure come between them as if they came between events.
 */
@Internal
public final class EventRun<T> implements EventContext {
    /** Rows at once. */
    private static final int ROWS_MAX = 64;
    /** Bytes at once, if that is more than one row: what Flink puts into one buffer between tasks. */
    private static final long BYTES_MAX = 32 << 10;

    private BlockSlice<T> slice;
    private int rowsAtOnce;
    private int row;
    private int end;

    /** Starts at the first row of a slice, with a run still to be taken. */
    void enter(BlockSlice<T> newSlice) {
        slice = newSlice;
        long bytesPerRow = slice.blockBytes() / slice.rows().size();
        rowsAtOnce = (int) Math.min(ROWS_MAX, Math.max(1, BYTES_MAX / Math.max(1, bytesPerRow)));
        end = slice.from();
    }

    /** Takes the next rows of the slice; false: there are none. */
    boolean nextRun() {
        row = end;
        end = Math.min(slice.to(), row + rowsAtOnce);
        return row < end;
    }

    /** Moves on to the next row of the run; false: this was the last one. */
    boolean nextRow() {
        return ++row < end;
    }

    /** Rows of the run from the current one on. */
    int rowsLeft() {
        return end - row;
    }

    EventDecoder.Rows<T> rows() {
        return slice.rows();
    }

    int row() {
        return row;
    }

    String splitId() {
        return slice.splitId();
    }

    /** The offset behind the run. */
    long endOffset() {
        return slice.baseOffset() + end;
    }

    /** Counts the run's events as emitted. */
    void markEmitted() {
        slice.subscription().progress.emitted(endOffset());
    }

    @Override
    public long offset() {
        return slice.baseOffset() + row;
    }

    @Override
    public int segment() {
        return slice.segment();
    }

    @Override
    public long commitSeq() {
        return slice.commitSeq();
    }

    @Override
    public long commitTimeMs() {
        return slice.commitTimeMs();
    }
}
