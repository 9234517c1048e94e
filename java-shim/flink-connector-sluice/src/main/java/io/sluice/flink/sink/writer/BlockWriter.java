package io.sluice.flink.sink.writer;

import io.sluice.flink.client.Names;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.data.BlockData;
import io.sluice.flink.sink.SinkSettings;
import io.sluice.flink.sink.StreamRouter;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.metrics.Counter;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

/**
 * What both writers share: elements go into a buffer per stream, blocks go on. All calls come on the task's thread, in the
 * order: write and flush any number of times, close.
 */
abstract class BlockWriter<T> implements SinkWriter<T>, BlockTarget {

    /** Bytes in all blocks under construction; above it all are sent as they are, so that many segments cost no memory. */
    private static final long BUFFERED_BYTES_MAX = 16 << 20;

    final SluiceClient client;
    final SinkSettings settings;
    final int subtask;
    private final ElementFormat<T> format;
    private final StreamRouter<T> router;
    private final Map<String, StreamBuffer<T>> buffers = new HashMap<>();
    private final Counter numRecordsSend;
    private final Counter numBytesSend;
    private final Counter numRecordsSendErrors;

    private String lastStream;
    private StreamBuffer<T> lastBuffer;
    private long bufferedBytes;
    private volatile long currentSendTime;

    BlockWriter(
            SluiceClient client,
            SinkSettings settings,
            ElementFormat<T> format,
            StreamRouter<T> router,
            WriterInitContext context)
            throws IOException {
        this.client = client;
        this.settings = settings;
        this.format = format;
        this.router = router;
        this.subtask = context.getTaskInfo().getIndexOfThisSubtask();
        this.numRecordsSend = context.metricGroup().getNumRecordsSendCounter();
        this.numBytesSend = context.metricGroup().getNumBytesSendCounter();
        this.numRecordsSendErrors = context.metricGroup().getNumRecordsSendErrorsCounter();
        context.metricGroup().setCurrentSendTimeGauge(() -> currentSendTime);
        try {
            format.open(context.asSerializationSchemaInitializationContext());
        } catch (Exception e) {
            throw new IOException("the serializer could not be opened", e);
        }
    }

    /** Finds the stream now, so that a wrong name or schema fails the job at its start. */
    final void resolve(String stream) throws IOException, InterruptedException {
        bufferOf(stream);
    }

    @Override
    public final void write(T element, Context context) throws IOException, InterruptedException {
        StreamBuffer<T> buffer = bufferOf(router.streamOf(element));
        try {
            bufferedBytes += buffer.add(element, context.timestamp());
        } catch (IllegalArgumentException e) {
            numRecordsSendErrors.inc();
            throw e;
        }
        if (bufferedBytes > BUFFERED_BYTES_MAX) {
            sendBuffers();
        }
    }

    private StreamBuffer<T> bufferOf(String stream) throws IOException, InterruptedException {
        // Mostly one stream, and mostly the same String object.
        if (stream.equals(lastStream)) {
            return lastBuffer;
        }
        StreamBuffer<T> buffer = buffers.get(stream);
        if (buffer == null) {
            Destination destination = Destination.resolve(client, settings, Names.stream(stream), format);
            buffer = format.buffer(destination, this, subtask);
            buffers.put(stream, buffer);
        }
        lastStream = stream;
        lastBuffer = buffer;
        return buffer;
    }

    /** Sends everything that is buffered. */
    final void sendBuffers() throws IOException, InterruptedException {
        for (StreamBuffer<T> buffer : buffers.values()) {
            buffer.flush();
        }
        bufferedBytes = 0;
    }

    @Override
    public final void send(Destination destination, int segment, BlockData block) throws IOException, InterruptedException {
        long start = System.nanoTime();
        append(destination, segment, block);
        currentSendTime = (System.nanoTime() - start) / 1_000_000;
        numRecordsSend.inc(block.rows);
        numBytesSend.inc(block.length);
    }

    abstract void append(Destination destination, int segment, BlockData block) throws IOException, InterruptedException;
}
