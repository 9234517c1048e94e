package io.sluice.flink.source.reader;

import java.util.function.LongSupplier;
import org.apache.flink.annotation.Internal;

/**
 * A token bucket in rows. It holds at most a tenth of a second's worth (at least one row), so that a slow source is slow evenly. Used by
 * the fetcher's thread only, which hands over smaller slices and waits between them; the task's thread and checkpoints never wait.
 */
@Internal
final class RateLimiter {
    private static final double BURST_SECONDS = 0.1;

    private final double rowsPerNano;
    private final double capacity;
    private final LongSupplier nanoTime;
    private double tokens;
    private long filledAt;

    /**
     * @param rowsPerSecond more than 0; infinite: no limit
     * @param nanoTime a monotonic clock
     */
    RateLimiter(double rowsPerSecond, LongSupplier nanoTime) {
        if (!(rowsPerSecond > 0)) {
            throw new IllegalArgumentException("a rate must be more than 0 rows/s, not " + rowsPerSecond);
        }
        this.rowsPerNano = rowsPerSecond / 1e9;
        this.capacity = Math.max(1, rowsPerSecond * BURST_SECONDS);
        this.nanoTime = nanoTime;
        this.tokens = 1;
        this.filledAt = nanoTime.getAsLong();
    }

    static RateLimiter unlimited() {
        return new RateLimiter(Double.POSITIVE_INFINITY, System::nanoTime);
    }

    /** Rows that may be handed over now. */
    int available() {
        if (Double.isInfinite(capacity)) {
            return Integer.MAX_VALUE;
        }
        long now = nanoTime.getAsLong();
        tokens = Math.min(capacity, tokens + (now - filledAt) * rowsPerNano);
        filledAt = now;
        return (int) Math.min(Integer.MAX_VALUE, tokens);
    }

    /** Takes rows that {@link #available} allowed. */
    void take(int rows) {
        tokens -= rows;
    }

    /** How long to wait until half a burst, at least one row, is there. */
    long nanosUntilWorthwhile() {
        double wanted = Math.max(1, capacity / 2) - tokens;
        return wanted <= 0 ? 0 : (long) Math.ceil(wanted / rowsPerNano);
    }
}
