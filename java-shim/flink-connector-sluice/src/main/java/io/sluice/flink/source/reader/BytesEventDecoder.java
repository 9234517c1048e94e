package io.sluice.flink.source.reader;

import io.sluice.flink.data.BytesBlockReader;
import io.sluice.flink.data.SchemaMapping;
import io.sluice.proto.gateway.v1.Schema;
import java.io.IOException;
import java.util.Objects;
import java.util.Optional;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.util.Collector;

/** Events of the built-in bytes schema: payloads through a {@link DeserializationSchema}, with the event's own time if it has one. */
@Internal
public final class BytesEventDecoder<T> implements EventDecoder<T> {
    private static final long serialVersionUID = 1L;
    /** Columns {@code value} and {@code event_time} of the bytes schema. */
    private static final int[] COLUMNS = {1, 2};

    private final DeserializationSchema<T> deserializer;

    public BytesEventDecoder(DeserializationSchema<T> deserializer) {
        this.deserializer = Objects.requireNonNull(deserializer);
    }

    @Override
    public void open(DeserializationSchema.InitializationContext context) throws Exception {
        deserializer.open(context);
    }

    @Override
    public Optional<String> mismatch(long schemaId, Schema schema) {
        return schemaId == SchemaMapping.BYTES_SCHEMA_ID
                ? Optional.empty()
                : Optional.of("it holds typed rows, not bytes: read it as a table or with SluiceSource.forRowData");
    }

    @Override
    public int[] columns(Schema schema) {
        return COLUMNS.clone();
    }

    @Override
    public Blocks<T> forSchema(long schemaId, Schema schema) {
        // A reader of its own for each block: several are open at a time.
        return block -> new BytesRows<>(new BytesBlockReader().open(block), deserializer);
    }

    @Override
    public TypeInformation<T> getProducedType() {
        return deserializer.getProducedType();
    }

    private static final class BytesRows<T> implements Rows<T>, Collector<T> {
        private final BytesBlockReader.Rows rows;
        private final DeserializationSchema<T> deserializer;
        private SourceOutput<T> output;
        private long timestamp;

        BytesRows(BytesBlockReader.Rows rows, DeserializationSchema<T> deserializer) {
            this.rows = rows;
            this.deserializer = deserializer;
        }

        @Override
        public int size() {
            return rows.size();
        }

        @Override
        public void emit(int index, EventContext event, SourceOutput<T> newOutput) throws IOException {
            output = newOutput;
            timestamp = rows.hasEventTime(index) ? rows.eventTime(index) : event.commitTimeMs();
            deserializer.deserialize(rows.value(index), this);
        }

        @Override
        public void collect(T element) {
            output.collect(element, timestamp);
        }

        @Override
        public void close() {}
    }
}
