package io.sluice.flink.source.reader;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** When to try again after a lost connection, and when to give up. */
final class Reconnection {
    private static final long FIRST_DELAY_NANOS = TimeUnit.MILLISECONDS.toNanos(100);
    private static final long MAX_DELAY_NANOS = TimeUnit.SECONDS.toNanos(3);
    private static final int MAX_DOUBLINGS = 5;

    private final long timeoutNanos;
    private int failures;
    private long firstFailureAt;
    private long notBefore;

    Reconnection(Duration timeout) {
        this.timeoutNanos = timeout.toNanos();
    }

    /**
     * Something failed. Answers whether to try again: not once failures went on for the timeout without a success between.
     *
     * @param now nanosecond clock
     */
    boolean failed(long now) {
        if (failures == 0) {
            firstFailureAt = now;
        }
        long delay = Math.min(MAX_DELAY_NANOS, FIRST_DELAY_NANOS << Math.min(failures, MAX_DOUBLINGS));
        failures++;
        notBefore = now + delay / 2 + ThreadLocalRandom.current().nextLong(delay / 2 + 1);
        return now - firstFailureAt <= timeoutNanos;
    }

    /** The gateway answers. */
    void succeeded() {
        failures = 0;
    }

    /** Nanoseconds until the next attempt; 0: now. */
    long delay(long now) {
        return failures == 0 ? 0 : Math.max(0, notBefore - now);
    }
}
