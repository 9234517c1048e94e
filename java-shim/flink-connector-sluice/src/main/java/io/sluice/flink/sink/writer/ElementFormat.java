package io.sluice.flink.sink.writer;

import io.sluice.flink.sink.EventSerializer;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

import java.io.Serializable;

/** How elements become events: as rows of a type, or as bytes. */
@Internal
public abstract class ElementFormat<T> implements Serializable {

    private static final long serialVersionUID = 1L;

    private ElementFormat() {}

    /** Rows of a typed stream. */
    public static ElementFormat<RowData> rows(RowType rowType) {
        return new Rows(rowType);
    }

    /**
     * Events of the bytes schema.
     *
     * @param keyed whether they may have keys; a stream made for events without has no routing key
     */
    public static <T> ElementFormat<T> events(EventSerializer<T> serializer, boolean keyed) {
        return new Events<>(serializer, keyed);
    }

    /** The rows' type; null for events of the bytes schema. */
    public abstract RowType rowType();

    /** Whether a stream of the bytes schema made for these elements is routed by key. */
    abstract boolean keyed();

    abstract void open(SerializationSchema.InitializationContext context) throws Exception;

    abstract StreamBuffer<T> buffer(Destination destination, BlockTarget target, int firstPlace);

    private static final class Rows extends ElementFormat<RowData> {
        private static final long serialVersionUID = 1L;
        private final RowType rowType;

        Rows(RowType rowType) {
            this.rowType = rowType;
        }

        @Override
        public RowType rowType() {
            return rowType;
        }

        @Override
        boolean keyed() {
            return false;
        }

        @Override
        void open(SerializationSchema.InitializationContext context) {}

        @Override
        StreamBuffer<RowData> buffer(Destination destination, BlockTarget target, int firstPlace) {
            return new StreamBuffer.Rows(destination, target, firstPlace, rowType);
        }
    }

    private static final class Events<T> extends ElementFormat<T> {
        private static final long serialVersionUID = 1L;
        private final EventSerializer<T> serializer;
        private final boolean keyed;

        Events(EventSerializer<T> serializer, boolean keyed) {
            this.serializer = serializer;
            this.keyed = keyed;
        }

        @Override
        boolean keyed() {
            return keyed;
        }

        @Override
        public RowType rowType() {
            return null;
        }

        @Override
        void open(SerializationSchema.InitializationContext context) throws Exception {
            serializer.open(context);
        }

        @Override
        StreamBuffer<T> buffer(Destination destination, BlockTarget target, int firstPlace) {
            return new StreamBuffer.Events<>(destination, target, firstPlace, serializer);
        }
    }
}
