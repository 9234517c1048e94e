package io.sluice.flink.sink.writer;

import io.sluice.flink.data.BlockCollector;
import io.sluice.flink.data.BlockData;
import io.sluice.flink.data.BlockBuilder;
import io.sluice.flink.data.BytesBlockBuilder;
import io.sluice.flink.data.RoutingKey;
import io.sluice.flink.sink.EventSerializer;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.types.RowKind;

import java.io.IOException;

/** Elements of one stream on their way: a block under construction per segment. */
abstract class StreamBuffer<T> {

    /** Blocks are sent at this size; 256 KiB to 1 MiB measured best. */
    private static final int BLOCK_BYTES = 512 << 10;
    /** The gateway refuses larger blocks. */
    private static final int BLOCK_BYTES_MAX = 8 << 20;

    private final Destination destination;
    private final BlockTarget target;
    private final BlockCollector[] collectors;
    /** Bytes in each collector. */
    private final int[] sizes;
    /** Where rows without a routing key go; moves on with every block. */
    private int unkeyedPlace;

    StreamBuffer(Destination destination, BlockTarget target, int firstPlace) {
        this.destination = destination;
        this.target = target;
        this.collectors = new BlockCollector[destination.segments.count()];
        this.sizes = new int[collectors.length];
        this.unkeyedPlace = firstPlace % collectors.length;
    }

    /** Adds an element; returns by how many bytes the buffer grew (negative: a block was sent). */
    final long add(T element, Long timestamp) throws IOException, InterruptedException {
        take(element, timestamp);
        boolean keyed = keyed();
        int place = keyed ? destination.segments.placeOf(hash()) : unkeyedPlace;
        BlockCollector collector = collectors[place];
        if (collector == null) {
            collector = newCollector();
            collectors[place] = collector;
        }
        int before = sizes[place];
        appendTo(collector);
        int after = collector.bytes();
        sizes[place] = after;
        if (after < BLOCK_BYTES) {
            return after - before;
        }
        send(place);
        if (!keyed) {
            unkeyedPlace = (unkeyedPlace + 1) % collectors.length;
        }
        return -before;
    }

    /** Sends everything. */
    final void flush() throws IOException, InterruptedException {
        for (int place = 0; place < collectors.length; place++) {
            if (collectors[place] != null && collectors[place].rows() > 0) {
                send(place);
            }
        }
    }

    private void send(int place) throws IOException, InterruptedException {
        BlockData block = collectors[place].finish();
        sizes[place] = 0;
        if (block.length > BLOCK_BYTES_MAX) {
            throw new IOException(
                    "an event is too large: its block has " + block.length + " bytes, at most " + BLOCK_BYTES_MAX + " are allowed");
        }
        target.send(destination, destination.segments.segmentAt(place), block);
    }

    /** Looks at an element; {@link #hash} and {@link #appendTo} are then about it. */
    abstract void take(T element, Long timestamp);

    abstract boolean keyed();

    abstract long hash();

    abstract BlockCollector newCollector();

    abstract void appendTo(BlockCollector collector);

    static final class Rows extends StreamBuffer<RowData> {
        private final RowType rowType;
        private final long schemaId;
        private final RoutingKey routingKey;
        private RowData row;

        Rows(Destination destination, BlockTarget target, int firstPlace, RowType rowType) {
            super(destination, target, firstPlace);
            this.rowType = rowType;
            this.schemaId = destination.schemaId;
            this.routingKey =
                    destination.routingKey.isEmpty() ? null : new RoutingKey(rowType, destination.routingKey);
        }

        @Override
        void take(RowData element, Long timestamp) {
            if (element.getRowKind() != RowKind.INSERT) {
                throw new IllegalArgumentException(
                        "a row of kind " + element.getRowKind().shortString()
                                + " arrived, but streams only take inserts; convert the changelog first");
            }
            row = element;
        }

        @Override
        boolean keyed() {
            return routingKey != null;
        }

        @Override
        long hash() {
            return routingKey.hash(row);
        }

        @Override
        BlockCollector newCollector() {
            return new BlockBuilder(rowType, schemaId);
        }

        @Override
        void appendTo(BlockCollector collector) {
            ((BlockBuilder) collector).append(row);
        }
    }

    static final class Events<T> extends StreamBuffer<T> {
        private final EventSerializer<T> serializer;
        private final boolean keyed;
        private T element;
        private Long timestamp;
        private byte[] key;

        Events(Destination destination, BlockTarget target, int firstPlace, EventSerializer<T> serializer) {
            super(destination, target, firstPlace);
            this.serializer = serializer;
            this.keyed = !destination.routingKey.isEmpty();
        }

        @Override
        void take(T element, Long timestamp) {
            this.element = element;
            this.timestamp = timestamp;
            this.key = serializer.key(element);
        }

        @Override
        boolean keyed() {
            // as in the gateway: nothing keeps events without a key together
            return keyed && key != null;
        }

        @Override
        long hash() {
            return RoutingKey.hashOfBytesKey(key);
        }

        @Override
        BlockCollector newCollector() {
            return new BytesBlockBuilder();
        }

        @Override
        void appendTo(BlockCollector collector) {
            byte[] value = serializer.value(element);
            if (value == null) {
                throw new IllegalArgumentException("the serializer returned null: every event has a value");
            }
            ((BytesBlockBuilder) collector)
                    .append(key, value, serializer.eventTime(element, timestamp), serializer.headers(element));
        }
    }
}
