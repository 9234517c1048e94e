package io.sluice.flink.source.reader;

import io.sluice.proto.gateway.v1.Block;
import io.sluice.proto.gateway.v1.Schema;
import java.io.IOException;
import java.io.Serializable;
import java.util.Optional;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;

/**
 * How events become elements. {@link #open} and {@link Rows#emit} run on the task's thread, {@link Blocks#open} on the fetcher's; the
 * rest runs wherever it is needed, also in the enumerator.
 */
@Internal
public interface EventDecoder<T> extends Serializable, ResultTypeQueryable<T> {

    /** Called once per reader before the first row. */
    void open(DeserializationSchema.InitializationContext context) throws Exception;

    /** Why this decoder can't read streams of a schema, as one sentence; empty: it can. */
    Optional<String> mismatch(long schemaId, Schema schema);

    /** Indices of the top-level columns wanted of a schema, ascending; empty: all. */
    int[] columns(Schema schema);

    /** A decoder for blocks of one schema; used by one thread. */
    Blocks<T> forSchema(long schemaId, Schema schema);

    /** Opens blocks of one schema. */
    interface Blocks<T> {
        /**
         * Checks a block and opens it.
         *
         * @throws IOException if its bytes are damaged or not of this schema
         */
        Rows<T> open(Block block) throws IOException;
    }

    /** An open block. */
    interface Rows<T> {
        /** Rows in the block. */
        int size();

        /** Emits what row {@code index} gives: any number of elements. */
        void emit(int index, EventContext event, SourceOutput<T> output) throws Exception;
    }
}
