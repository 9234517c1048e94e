package io.sluice.flink.source.reader;

import org.apache.flink.annotation.Internal;

/** What the gateway says about an event beside its columns. Valid until the next event. */
@Internal
public interface EventContext {
    /** Ordinal in the segment. */
    long offset();

    /** The segment. */
    int segment();

    /** The commit that made the event visible; of events read from Parquet the greatest of their block. */
    long commitSeq();

    /** When that was, in milliseconds since 1970-01-01T00:00:00Z. */
    long commitTimeMs();
}
