package io.sluice.bench;

import java.util.Arrays;
import java.util.Locale;
import java.util.StringJoiner;

/** The figures of one run: printed as one line of JSON, the last of standard output. */
final class Report {
    private final StringJoiner fields = new StringJoiner(", ", "{", "}");

    Report put(String key, long value) {
        fields.add("\"" + key + "\": " + value);
        return this;
    }

    Report put(String key, double value) {
        fields.add("\"" + key + "\": " + String.format(Locale.ROOT, "%.6g", value));
        return this;
    }

    /** What was moved in how long, and the rates that follow. */
    Report moved(long records, long bytes, double seconds) {
        return put("records", records).put("bytes", bytes).put("seconds", seconds)
                .put("records_per_s", records / seconds).put("mb_per_s", bytes / seconds / 1e6);
    }

    /** Count, median, 99th percentile and longest of some times in milliseconds; nothing if there are none. */
    Report times(String what, double[] milliseconds) {
        if (milliseconds.length == 0) {
            return this;
        }
        double[] sorted = milliseconds.clone();
        Arrays.sort(sorted);
        return put(what + "_count", (long) sorted.length)
                .put(what + "_ms_p50", sorted[sorted.length / 2])
                .put(what + "_ms_p99", sorted[(int) (sorted.length * 0.99)])
                .put(what + "_ms_max", sorted[sorted.length - 1]);
    }

    void print() {
        System.out.println(fields);
    }
}
