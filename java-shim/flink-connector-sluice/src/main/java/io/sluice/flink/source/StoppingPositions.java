package io.sluice.flink.source;

import java.io.Serializable;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.annotation.Internal;
import org.apache.flink.annotation.PublicEvolving;

/**
 * Where a bounded source ends. Resolved once, by the enumerator, into its checkpointed state, so that a restart reads the very same
 * events.
 */
@PublicEvolving
public final class StoppingPositions implements Serializable {
    private static final long serialVersionUID = 1L;

    /** The ways to end. */
    @Internal
    public enum Mode {
        UNBOUNDED,
        LATEST,
        TIMESTAMP,
        POSITIONS
    }

    private final Mode mode;
    private final long timestampMs;
    private final TreeMap<String, TreeMap<Integer, Long>> positions;

    private StoppingPositions(Mode mode, long timestampMs, TreeMap<String, TreeMap<Integer, Long>> positions) {
        this.mode = mode;
        this.timestampMs = timestampMs;
        this.positions = positions;
    }

    /** Never. */
    public static StoppingPositions unbounded() {
        return new StoppingPositions(Mode.UNBOUNDED, 0, new TreeMap<>());
    }

    /** After everything committed when the job starts. */
    public static StoppingPositions latest() {
        return new StoppingPositions(Mode.LATEST, 0, new TreeMap<>());
    }

    /** Before the first events committed at or after a time, in milliseconds since 1970-01-01T00:00:00Z. */
    public static StoppingPositions timestamp(long timestampMs) {
        return new StoppingPositions(Mode.TIMESTAMP, timestampMs, new TreeMap<>());
    }

    /**
     * Before given offsets. The source waits for events that are not committed yet.
     *
     * @param positions {@code scope/stream} to segment to the first offset not to read; every segment must be named
     */
    public static StoppingPositions positions(Map<String, ? extends Map<Integer, Long>> positions) {
        return new StoppingPositions(Mode.POSITIONS, 0, StartingPositions.copy(positions));
    }

    public Mode mode() {
        return mode;
    }

    /** For {@link Mode#TIMESTAMP}. */
    public long timestampMs() {
        return timestampMs;
    }

    /** For {@link Mode#POSITIONS}. */
    public Map<String, ? extends Map<Integer, Long>> positions() {
        return positions;
    }

    boolean isBounded() {
        return mode != Mode.UNBOUNDED;
    }
}
