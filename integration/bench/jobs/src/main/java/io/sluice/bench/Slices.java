package io.sluice.bench;

import io.sluice.flink.sink.StreamRouter;
import java.util.concurrent.TimeUnit;

/**
 * W1 sustained: a new stream every so many seconds, so that what was written can be deleted while the job runs. Sluice has no
 * retention; without this ten minutes of writing would fill most disks.
 */
final class Slices implements StreamRouter<byte[]> {
    private static final long serialVersionUID = 1L;
    /** Elements between two looks at the clock. */
    private static final int CLOCK_EVERY = 4096;

    private final String prefix;
    private final long seconds;
    private transient String current;
    private transient int left;

    Slices(String prefix, long seconds) {
        this.prefix = prefix;
        this.seconds = seconds;
    }

    @Override
    public String streamOf(byte[] element) {
        if (left-- <= 0) {
            left = CLOCK_EVERY;
            // of the same length for centuries, so names sort by time
            current = prefix + "-" + TimeUnit.MILLISECONDS.toSeconds(System.currentTimeMillis()) / seconds;
        }
        return current;
    }
}
