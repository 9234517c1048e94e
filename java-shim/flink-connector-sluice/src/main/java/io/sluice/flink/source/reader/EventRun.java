package io.sluice.flink.source.reader;

import org.apache.flink.annotation.Internal;

/**
 * Events to emit at once: rows of an open block, the current one first. One object serves all runs of a batch.
 *
 * <p>Flink's way around its loop costs more than an event does; a run pays it once. Checkpoints, watermarks and the look at whether there
 * is room for output wait for its end, so it is short, and {@link EventEmitter} leaves off earlier where events take long.
 */
@Internal
public final class EventRun<T> implements EventContext {
    /** Rows at once. */
    private static final int ROWS_MAX = 64;
    /** Bytes at once, by the block's average and at least one row: what Flink puts into one buffer between tasks. */
    private static final long BYTES_MAX = 32 << 10;

    private BlockSlice<T> slice;
    private int rowsAtOnce;
    private int row;
    private int end;

    /** Goes to the first row of a slice; no run is taken yet. */
    void enter(BlockSlice<T> newSlice) {
        slice = newSlice;
        long bytesPerRow = slice.blockBytes() / slice.rows().size();
        rowsAtOnce = (int) Math.min(ROWS_MAX, Math.max(1, BYTES_MAX / Math.max(1, bytesPerRow)));
        row = slice.from();
    }

    /** Takes the next rows of the slice, from the current one on; false: there are none. */
    boolean nextRun() {
        end = Math.min(slice.to(), row + rowsAtOnce);
        return row < end;
    }

    /** Moves on to the next row; false: it is not of this run. */
    boolean nextRow() {
        return ++row < end;
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

    /** Counts the events before the current one as emitted. */
    void markEmitted() {
        slice.subscription().progress.emitted(offset());
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
