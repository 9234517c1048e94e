package io.sluice.flink.sink.writer;

import io.sluice.flink.data.BlockData;

import java.io.IOException;

/** Where finished blocks go. */
interface BlockTarget {
    void send(Destination destination, int segment, BlockData block) throws IOException, InterruptedException;
}
