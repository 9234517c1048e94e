package io.sluice.flink.source.reader;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.flink.annotation.Internal;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.DataType;

/** Metadata columns of a table. */
@Internal
public enum EventMetadata {
    /** Ordinal of the event in its segment. */
    OFFSET("offset", DataTypes.BIGINT().notNull()) {
        @Override
        Object of(EventContext event) {
            return event.offset();
        }
    },
    /** Number of the event's segment. */
    SEGMENT("segment", DataTypes.INT().notNull()) {
        @Override
        Object of(EventContext event) {
            return event.segment();
        }
    },
    /** The commit that made the event visible. */
    COMMIT_SEQ("commit_seq", DataTypes.BIGINT().notNull()) {
        @Override
        Object of(EventContext event) {
            return event.commitSeq();
        }
    },
    /** When that was. */
    COMMIT_TIME("commit_time", DataTypes.TIMESTAMP_LTZ(3).notNull()) {
        @Override
        Object of(EventContext event) {
            return TimestampData.fromEpochMillis(event.commitTimeMs());
        }
    };

    private final String key;
    private final DataType dataType;

    EventMetadata(String key, DataType dataType) {
        this.key = key;
        this.dataType = dataType;
    }

    /** The name in {@code METADATA FROM}. */
    public String key() {
        return key;
    }

    public DataType dataType() {
        return dataType;
    }

    /** The value in Flink's internal form. */
    abstract Object of(EventContext event);

    /** The metadata column of a name. */
    public static EventMetadata ofKey(String key) {
        return Arrays.stream(values())
                .filter(metadata -> metadata.key.equals(key))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("there is no metadata column '" + key + "'; there are " + keys()));
    }

    private static List<String> keys() {
        return Arrays.stream(values()).map(EventMetadata::key).collect(Collectors.toList());
    }
}
