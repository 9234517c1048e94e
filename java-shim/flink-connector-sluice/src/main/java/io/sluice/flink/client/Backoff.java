package io.sluice.flink.client;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/** Waiting times that double up to a limit, each with jitter, until a deadline. Not thread safe. */
final class Backoff {

    private static final long FIRST_MS = 50;
    private static final long MAX_MS = 2_000;

    private final long deadlineNanos;
    private long next = FIRST_MS;

    Backoff(Duration timeout) {
        this.deadlineNanos = System.nanoTime() + timeout.toNanos();
    }

    long remainingNanos() {
        return Math.max(0, deadlineNanos - System.nanoTime());
    }

    boolean expired() {
        return remainingNanos() == 0;
    }

    /** Milliseconds to wait before the next attempt; never beyond the deadline. */
    long nextMillis() {
        long wait = next / 2 + ThreadLocalRandom.current().nextLong(next / 2 + 1);
        next = Math.min(MAX_MS, next * 2);
        return Math.min(wait, remainingNanos() / 1_000_000 + 1);
    }

    void sleep() throws InterruptedException {
        Thread.sleep(nextMillis());
    }

    void reset() {
        next = FIRST_MS;
    }
}
