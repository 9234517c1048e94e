package io.sluice.flink.source.reader;

import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.connector.source.SourceEvent;

/** A reader tells the enumerator which positions it put into a checkpoint. */
@Internal
public final class PositionsReport implements SourceEvent {
    private static final long serialVersionUID = 1L;

    private final long checkpointId;
    private final TreeMap<String, Long> offsets;

    public PositionsReport(long checkpointId, Map<String, Long> offsets) {
        this.checkpointId = checkpointId;
        this.offsets = new TreeMap<>(offsets);
    }

    public long checkpointId() {
        return checkpointId;
    }

    /** Split id to the next offset to read, for every split the reader ever got. */
    public Map<String, Long> offsets() {
        return offsets;
    }

    @Override
    public String toString() {
        return "positions of checkpoint " + checkpointId + ": " + offsets;
    }
}
