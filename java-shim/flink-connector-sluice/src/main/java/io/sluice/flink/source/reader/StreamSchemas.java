package io.sluice.flink.source.reader;

import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.source.NonRecoverableSourceException;
import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.proto.gateway.v1.GetSchemaRequest;
import io.sluice.proto.gateway.v1.GetStreamRequest;
import io.sluice.proto.gateway.v1.Schema;
import io.sluice.proto.gateway.v1.StreamInfo;
import io.sluice.proto.gateway.v1.StreamName;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** What the schemas of the streams mean for reading. Asks the gateway once per stream and schema, blocking. For one thread. */
final class StreamSchemas<T> {
    private static final Duration COLUMNS_TIMEOUT = Duration.ofSeconds(1);

    private final SluiceClient client;
    private final EventDecoder<T> decoder;
    private final Map<String, int[]> columns = new HashMap<>();
    private final Map<Long, EventDecoder.Blocks<T>> blocks = new HashMap<>();

    StreamSchemas(SluiceClient client, EventDecoder<T> decoder) {
        this.client = client;
        this.decoder = decoder;
    }

    /**
     * The columns to ask for of a split's stream; empty: all.
     *
     * @throws io.sluice.flink.client.SluiceException if the gateway did not answer within a second or refused
     */
    int[] columns(SluiceSplit split) throws IOException {
        int[] known = columns.get(split.qualifiedStream());
        if (known != null) {
            return known;
        }
        StreamName name = StreamName.newBuilder().setScope(split.scope()).setName(split.stream()).build();
        StreamInfo stream = call(Rpc.GET_STREAM, GetStreamRequest.newBuilder().setStream(name).build(), COLUMNS_TIMEOUT).getStream();
        if (stream.getStreamId() != split.streamId()) {
            throw new NonRecoverableSourceException("stream " + split.qualifiedStream()
                    + " was deleted and created again since the job started: start the job without its state");
        }
        decoder.mismatch(stream.getSchemaId(), stream.getSchema()).ifPresent(why -> {
            throw new NonRecoverableSourceException("stream " + split.qualifiedStream() + ": " + why);
        });
        blocks.computeIfAbsent(stream.getSchemaId(), id -> decoder.forSchema(id, stream.getSchema()));
        int[] wanted = decoder.columns(stream.getSchema());
        columns.put(split.qualifiedStream(), wanted);
        return wanted;
    }

    /** The decoder of a schema. */
    EventDecoder.Blocks<T> blocks(long schemaId) throws IOException {
        EventDecoder.Blocks<T> known = blocks.get(schemaId);
        if (known != null) {
            return known;
        }
        Schema schema = call(Rpc.GET_SCHEMA, GetSchemaRequest.newBuilder().setSchemaId(schemaId).build(), SluiceClient.CALL_TIMEOUT).getSchema();
        EventDecoder.Blocks<T> made = decoder.forSchema(schemaId, schema);
        blocks.put(schemaId, made);
        return made;
    }

    private <Q extends com.google.protobuf.Message, A extends com.google.protobuf.Message> A call(Rpc<Q, A> rpc, Q request, Duration timeout)
            throws IOException {
        try {
            return client.call(rpc, request, timeout);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while asking the gateway at " + client.endpoint() + " for a schema");
        }
    }
}
