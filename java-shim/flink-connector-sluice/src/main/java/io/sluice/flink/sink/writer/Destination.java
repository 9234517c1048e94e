package io.sluice.flink.sink.writer;

import io.sluice.flink.client.Names;
import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.flink.client.Streams;
import io.sluice.flink.data.SchemaMapping;
import io.sluice.flink.data.SegmentChooser;
import io.sluice.flink.sink.SinkSettings;
import io.sluice.proto.gateway.v1.GetSchemaRequest;
import io.sluice.proto.gateway.v1.Schema;
import io.sluice.proto.gateway.v1.StreamConfig;
import io.sluice.proto.gateway.v1.StreamInfo;
import io.sluice.proto.gateway.v1.StreamName;
import io.sluice.proto.gateway.v1.StreamState;
import org.apache.flink.table.types.logical.RowType;

import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** A stream that is written: found or created, and checked against what the sink writes. */
final class Destination {

    final StreamName name;
    final long streamId;
    final long schemaId;
    final List<String> routingKey;
    final SegmentChooser segments;

    private Destination(StreamInfo info) {
        this.name = info.getStream();
        this.streamId = info.getStreamId();
        this.schemaId = info.getSchemaId();
        this.routingKey = List.copyOf(info.getRoutingKeyList());
        this.segments = new SegmentChooser(info.getSegmentsList());
    }

    /**
     * Finds the stream, or creates it if the settings allow that.
     *
     * @throws IllegalArgumentException if the stream's settings are not what the sink writes
     */
    static Destination resolve(SluiceClient client, SinkSettings settings, StreamName name, ElementFormat<?> format)
            throws IOException, InterruptedException {
        Streams.Template template = settings.autoCreate ? () -> config(client, settings, format) : null;
        StreamInfo info = Streams.getOrCreate(client, name, template, settings.timeout);
        check(info, settings, format.rowType());
        return new Destination(info);
    }

    private static StreamConfig config(SluiceClient client, SinkSettings settings, ElementFormat<?> format)
            throws SluiceException, InterruptedException {
        StreamConfig.Builder config = StreamConfig.newBuilder().setSegments(settings.segments);
        if (format.rowType() != null) {
            config.setSchema(SchemaMapping.toProto(format.rowType()));
        } else if (!format.keyed()) {
            // Left out, it would come with the routing key `key`, which these events do not have.
            config.setSchema(bytesSchema(client, settings));
        }
        if (settings.routingKeyFields != null) {
            config.addAllRoutingKey(settings.routingKeyFields);
        }
        return config.putAllLabels(settings.labels).build();
    }

    private static Schema bytesSchema(SluiceClient client, SinkSettings settings)
            throws SluiceException, InterruptedException {
        GetSchemaRequest get = GetSchemaRequest.newBuilder().setSchemaId(SchemaMapping.BYTES_SCHEMA_ID).build();
        return client.call(Rpc.GET_SCHEMA, get, settings.timeout).getSchema();
    }

    private static void check(StreamInfo info, SinkSettings settings, RowType rowType) {
        String name = Names.format(info.getStream());
        if (info.getState() == StreamState.STREAM_SEALED) {
            throw new IllegalArgumentException("stream " + name + " is sealed and takes no more events");
        }
        boolean bytes = info.getSchemaId() == SchemaMapping.BYTES_SCHEMA_ID;
        if (rowType == null && !bytes) {
            throw new IllegalArgumentException(
                    "stream " + name + " has typed columns, but the sink writes bytes; build it with SluiceSink.forRowData");
        }
        if (rowType != null) {
            Optional<String> mismatch = SchemaMapping.mismatch(info.getSchema(), rowType);
            if (mismatch.isPresent()) {
                throw new IllegalArgumentException("the sink's columns are not those of stream " + name + ": " + mismatch.get());
            }
            if (settings.routingKeyFields != null && !settings.routingKeyFields.equals(info.getRoutingKeyList())) {
                throw new IllegalArgumentException(
                        "stream " + name + " is routed by " + info.getRoutingKeyList() + ", the sink says "
                                + settings.routingKeyFields + "; leave the routing key out to take the stream's");
            }
        }
    }
}
