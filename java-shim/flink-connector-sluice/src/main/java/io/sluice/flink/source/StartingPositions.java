package io.sluice.flink.source;

import java.io.Serializable;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.apache.flink.annotation.Internal;
import org.apache.flink.annotation.PublicEvolving;

/**
 * Where a source starts when it has no state. Resolved once, by the enumerator, into its checkpointed state: a restart never resolves
 * again. A job restored from a checkpoint or savepoint goes on where that one stood, whatever is given here.
 */
@PublicEvolving
public final class StartingPositions implements Serializable {
    private static final long serialVersionUID = 1L;

    /** The ways to start. */
    @Internal
    public enum Mode {
        EARLIEST,
        LATEST,
        TIMESTAMP,
        POSITIONS,
        GROUP
    }

    private final Mode mode;
    private final long timestampMs;
    private final TreeMap<String, TreeMap<Integer, Long>> positions;

    private StartingPositions(Mode mode, long timestampMs, TreeMap<String, TreeMap<Integer, Long>> positions) {
        this.mode = mode;
        this.timestampMs = timestampMs;
        this.positions = positions;
    }

    /** At the first events that can be read. */
    public static StartingPositions earliest() {
        return new StartingPositions(Mode.EARLIEST, 0, new TreeMap<>());
    }

    /** After everything committed when the job starts. */
    public static StartingPositions latest() {
        return new StartingPositions(Mode.LATEST, 0, new TreeMap<>());
    }

    /** At the first events committed at or after a time, in milliseconds since 1970-01-01T00:00:00Z. */
    public static StartingPositions timestamp(long timestampMs) {
        return new StartingPositions(Mode.TIMESTAMP, timestampMs, new TreeMap<>());
    }

    /**
     * At given offsets.
     *
     * @param positions {@code scope/stream} to segment to the first offset to read; segments that are not named start at their
     *     earliest event
     */
    public static StartingPositions positions(Map<String, ? extends Map<Integer, Long>> positions) {
        return new StartingPositions(Mode.POSITIONS, 0, copy(positions));
    }

    /**
     * Where the source's reader group stands. A group that does not exist is created at the earliest events, so that nothing is
     * missed; a group that exists but does not read one of the source's streams fails the job.
     */
    public static StartingPositions groupOffsets() {
        return new StartingPositions(Mode.GROUP, 0, new TreeMap<>());
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

    static TreeMap<String, TreeMap<Integer, Long>> copy(Map<String, ? extends Map<Integer, Long>> positions) {
        TreeMap<String, TreeMap<Integer, Long>> copy = new TreeMap<>();
        Objects.requireNonNull(positions).forEach((stream, offsets) -> {
            offsets.forEach((segment, offset) -> {
                if (segment < 0 || offset < 0) {
                    throw new IllegalArgumentException("the position " + segment + ":" + offset + " of stream " + stream
                            + " is negative: segments and offsets start at 0");
                }
            });
            copy.put(stream, new TreeMap<>(offsets));
        });
        return copy;
    }
}
