package io.sluice.bench;

import java.util.concurrent.atomic.LongAdder;

/** What the operators of the one measured job did; they run in this JVM. */
final class Progress {
    private static final LongAdder RECORDS = new LongAdder();
    private static final LongAdder BYTES = new LongAdder();
    private static long startedNanos;
    private static long endedNanos;
    private static Usage usage;

    private Progress() {}

    /** Before a job. */
    static synchronized void reset() {
        RECORDS.reset();
        BYTES.reset();
        usage = null;
    }

    /** An operator of the job is ready to work; the first one starts the clocks. */
    static synchronized void started() {
        if (usage == null) {
            usage = Usage.now();
            startedNanos = System.nanoTime();
        }
    }

    /** An operator has moved all its records, so many of so many bytes; the last one stops the clock. */
    static synchronized void ended(long records, long bytes) {
        RECORDS.add(records);
        BYTES.add(bytes);
        endedNanos = System.nanoTime();
    }

    /** Records moved by operators that ended. */
    static long records() {
        return RECORDS.sum();
    }

    /** Figures of a job that took so long in all: of a batch job, whose sink starts last, the clocks here see only the end. */
    static Report during(double seconds) {
        return new Report().moved(RECORDS.sum(), BYTES.sum(), seconds);
    }

    /** Figures from the start until now. */
    static synchronized Report untilNow() {
        endedNanos = System.nanoTime();
        return untilEnd();
    }

    /** Figures from the start until the last operator ended. */
    static synchronized Report untilEnd() {
        Report report = new Report().moved(RECORDS.sum(), BYTES.sum(), (endedNanos - startedNanos) / 1e9);
        usage.addTo(report);
        return report;
    }
}
