package io.sluice.flink.source.reader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** The token bucket, with a clock that the test moves. */
class RateLimiterTest {
    private final AtomicLong nanos = new AtomicLong(-50);

    @Test
    void hasTheRateOverTimeWhateverTheSteps() {
        for (double rate : new double[] {0.5, 3, 1_000, 250_000}) {
            RateLimiter limiter = new RateLimiter(rate, nanos::get);
            long taken = 0;
            long end = nanos.get() + TimeUnit.SECONDS.toNanos(100);
            while (nanos.get() < end) {
                int rows = limiter.available();
                limiter.take(rows);
                taken += rows;
                nanos.addAndGet(Math.max(1, limiter.nanosUntilWorthwhile()));
            }
            assertThat((double) taken).as("%s rows/s for 100 s", rate).isBetween(rate * 100 * 0.98 - 1, rate * 100 * 1.01 + 2);
        }
    }

    @Test
    void doesNotSaveUpWhileNobodyReads() {
        RateLimiter limiter = new RateLimiter(1_000, nanos::get);
        nanos.addAndGet(TimeUnit.HOURS.toNanos(1));
        assertThat(limiter.available()).isEqualTo(100);
    }

    @Test
    void withoutLimitNothingWaits() {
        RateLimiter limiter = RateLimiter.unlimited();
        limiter.take(limiter.available());
        assertThat(limiter.available()).isEqualTo(Integer.MAX_VALUE);
    }

    @Test
    void nonsenseIsRefused() {
        assertThatThrownBy(() -> new RateLimiter(0, nanos::get)).hasMessageContaining("more than 0");
        assertThatThrownBy(() -> new RateLimiter(Double.NaN, nanos::get)).hasMessageContaining("more than 0");
    }
}
