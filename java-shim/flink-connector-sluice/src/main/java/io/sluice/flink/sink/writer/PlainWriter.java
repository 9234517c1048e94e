package io.sluice.flink.sink.writer;

import io.sluice.flink.client.EventStream;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.data.BlockData;
import io.sluice.flink.sink.SinkSettings;
import io.sluice.flink.sink.StreamRouter;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.connector.sink2.WriterInitContext;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

/**
 * The writer of AT_LEAST_ONCE and NONE: plain appends, visible as soon as they are answered. AT_LEAST_ONCE waits for the
 * answers at every checkpoint, NONE only at the end of a bounded input.
 */
@Internal
public final class PlainWriter<T> extends BlockWriter<T> {

    /** Flink's name of an operator in its metrics; it stays the same over restarts of a job. */
    private static final String OPERATOR_ID = "<operator_id>";

    private final boolean waitAtCheckpoints;
    private final String writer;
    private final Map<Long, EventStream> streams = new HashMap<>();

    private PlainWriter(
            SluiceClient client,
            SinkSettings settings,
            ElementFormat<T> format,
            StreamRouter<T> router,
            boolean waitAtCheckpoints,
            WriterInitContext context)
            throws IOException {
        super(client, settings, format, router, context);
        this.waitAtCheckpoints = waitAtCheckpoints;
        String operatorId = context.metricGroup().getAllVariables().getOrDefault(OPERATOR_ID, "");
        // One name per job, operator and subtask: a restart takes it over and so fences what an earlier attempt left under way.
        this.writer = "flink-" + settings.run(context.getJobInfo(), operatorId) + "-" + subtask;
    }

    /**
     * Opens the writer.
     *
     * @param stream the one stream, checked at once; null if a router chooses
     */
    public static <T> PlainWriter<T> open(
            SinkSettings settings,
            ElementFormat<T> format,
            StreamRouter<T> router,
            String stream,
            boolean waitAtCheckpoints,
            WriterInitContext context)
            throws IOException {
        return Opening.with(
                settings.endpoint,
                client -> {
                    PlainWriter<T> writer =
                            new PlainWriter<>(client, settings, format, router, waitAtCheckpoints, context);
                    if (stream != null) {
                        writer.resolve(stream);
                    }
                    return writer;
                });
    }

    @Override
    void append(Destination destination, int segment, BlockData block) throws IOException, InterruptedException {
        EventStream stream = streams.get(destination.streamId);
        if (stream == null) {
            stream = new EventStream(client, destination.name, writer, settings.timeout);
            streams.put(destination.streamId, stream);
        }
        stream.append(segment, block);
    }

    @Override
    public void flush(boolean endOfInput) throws IOException, InterruptedException {
        sendBuffers();
        if (waitAtCheckpoints || endOfInput) {
            for (EventStream stream : streams.values()) {
                stream.flush();
            }
        }
    }

    @Override
    public void close() {
        streams.values().forEach(EventStream::close);
        client.close();
    }
}
