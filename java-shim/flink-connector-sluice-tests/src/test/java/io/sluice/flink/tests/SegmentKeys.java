package io.sluice.flink.tests;

import io.sluice.flink.data.RoutingKey;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Routing keys by the segment they belong to, in evenly split streams. */
final class SegmentKeys {
    private static final Map<String, byte[]> FOUND = new ConcurrentHashMap<>();

    private SegmentKeys() {}

    static byte[] keyOf(int segments, int segment) {
        return FOUND.computeIfAbsent(segments + "/" + segment, any -> search(segments, segment));
    }

    /** Where events of a key belong. */
    static int segmentOf(byte[] key, int segments) {
        return (int) unsignedMultiplyHigh(RoutingKey.hashOfBytesKey(key), segments);
    }

    private static byte[] search(int segments, int segment) {
        for (int i = 0; ; i++) {
            byte[] key = ("key-" + i).getBytes(StandardCharsets.UTF_8);
            if (segmentOf(key, segments) == segment) {
                return key;
            }
        }
    }

    private static long unsignedMultiplyHigh(long hash, long n) {
        return Math.multiplyHigh(hash, n) + (hash < 0 ? n : 0);
    }
}
