package io.sluice.flink.data;

import io.sluice.proto.gateway.v1.SegmentInfo;
import org.apache.flink.annotation.Internal;

import java.util.List;

/** Which segment owns a hash. Ranges are half-open over [0, 2^64) and cover all of it. */
@Internal
public final class SegmentChooser {

    /** First hash of each range, ascending as unsigned numbers. */
    private final long[] firsts;

    private final int[] segments;

    /**
     * @param all the segments of a stream; sealed ones that have successors are left out
     * @throws IllegalArgumentException if the ranges do not cover the hash space exactly once
     */
    public SegmentChooser(List<SegmentInfo> all) {
        SegmentInfo[] current =
                all.stream()
                        .filter(segment -> segment.getSuccessorsCount() == 0)
                        .sorted((a, b) -> Long.compareUnsigned(a.getKeyRange().getFirst(), b.getKeyRange().getFirst()))
                        .toArray(SegmentInfo[]::new);
        firsts = new long[current.length];
        segments = new int[current.length];
        long expected = 0;
        for (int i = 0; i < current.length; i++) {
            firsts[i] = current[i].getKeyRange().getFirst();
            segments[i] = current[i].getSegment();
            if (firsts[i] != expected || (i > 0 && expected == 0)) {
                throw new IllegalArgumentException("the stream's segments do not cover the key space exactly once");
            }
            expected = current[i].getKeyRange().getEnd();
        }
        if (current.length == 0 || expected != 0) {
            throw new IllegalArgumentException("the stream's segments do not cover the key space exactly once");
        }
    }

    /** Number of segments that take appends. */
    public int count() {
        return segments.length;
    }

    /** Place, from 0 to {@link #count} - 1, of the segment that owns {@code hash}. */
    public int placeOf(long hash) {
        int low = 0;
        int high = firsts.length - 1;
        while (low < high) {
            int middle = (low + high + 1) >>> 1;
            if (Long.compareUnsigned(firsts[middle], hash) <= 0) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        return low;
    }

    /** Segment number at a place. */
    public int segmentAt(int place) {
        return segments[place];
    }
}
