package io.sluice.flink.source.reader;

/**
 * How much of a reader's memory is taken, and what the gateway may therefore send. Guarded by the session's lock.
 *
 * <p>Two bounds: each subscription's credit is its share of the budget, so that a busy segment does not starve the others; and messages
 * are asked for only while the blocks that arrived and are not emitted yet leave room. Blocks of paused splits do not count for the
 * second one, because nobody empties them.
 */
final class ReadBudget {
    /** A subscription's credit: its share of the budget, within these. */
    private static final long MIN_WINDOW_BYTES = 64 << 10;

    private static final long MAX_WINDOW_BYTES = 4 << 20;
    /** Messages asked for before the first one is looked at. */
    static final int MESSAGES_AHEAD = 4;

    private final long budgetBytes;
    /** Bytes of blocks of splits that are not paused, arrived and not emitted. */
    private long held;
    /** Messages that arrived since the last time more were asked for. */
    private int messagesOwed;

    ReadBudget(long budgetBytes) {
        this.budgetBytes = budgetBytes;
    }

    /** Bytes of credit for each of so many subscriptions. */
    long windowBytes(int subscriptions) {
        return Math.max(MIN_WINDOW_BYTES, Math.min(MAX_WINDOW_BYTES, budgetBytes / Math.max(1, subscriptions)));
    }

    void hold(long bytes) {
        held += bytes;
    }

    void free(long bytes) {
        held -= bytes;
    }

    /** A new call begins, {@link #MESSAGES_AHEAD} messages asked for. */
    void callOpened() {
        messagesOwed = 0;
    }

    void messageArrived() {
        messagesOwed++;
    }

    /** How many messages to ask for now. */
    int takeMessagesDue() {
        if (held >= budgetBytes) {
            return 0;
        }
        int due = messagesOwed;
        messagesOwed = 0;
        return due;
    }
}
