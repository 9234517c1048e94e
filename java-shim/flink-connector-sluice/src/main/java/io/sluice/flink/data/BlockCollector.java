package io.sluice.flink.data;

import org.apache.flink.annotation.Internal;

/** Something that collects rows into a block. */
@Internal
public interface BlockCollector {
    /** Rows collected. */
    int rows();

    /** Bytes collected, near the size of the finished block. */
    int bytes();

    /** The block of everything collected, at least one row; the collector is empty again. */
    BlockData finish();
}
