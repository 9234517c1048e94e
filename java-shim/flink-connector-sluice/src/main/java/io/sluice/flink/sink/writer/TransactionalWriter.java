package io.sluice.flink.sink.writer;

import io.sluice.flink.client.Ids;
import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.flink.client.TransactionStream;
import io.sluice.flink.data.BlockData;
import io.sluice.flink.sink.Scopes;
import io.sluice.flink.sink.SinkSettings;
import io.sluice.flink.sink.StreamRouter;
import io.sluice.flink.sink.committer.Receipt;
import io.sluice.proto.gateway.v1.OpenWriterRequest;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.connector.sink2.CommittingSinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;

import java.io.IOException;
import java.util.Collection;
import java.util.Collections;

/**
 * The exactly-once writer: one transaction per subtask and checkpoint, begun with the first block, prepared when Flink
 * asks for what to commit. An empty checkpoint has none.
 *
 * <p>Opening it takes the slot over: what an earlier attempt left open is dropped by the gateway, what it prepared stays.
 */
@Internal
public final class TransactionalWriter<T> extends BlockWriter<T> implements CommittingSinkWriter<T, Receipt> {

    private final TransactionStream transactions;

    private TransactionalWriter(
            SluiceClient client,
            SinkSettings settings,
            ElementFormat<T> format,
            StreamRouter<T> router,
            WriterInitContext context)
            throws IOException, InterruptedException {
        super(client, settings, format, router, context);
        Scopes.ensure(client, settings, settings.sinkScope);
        OpenWriterRequest open =
                OpenWriterRequest.newBuilder()
                        .setRequest(client.nextRequestId())
                        .setSink(settings.sink())
                        .setSubtask(subtask)
                        .setParallelism(context.getTaskInfo().getNumberOfParallelSubtasks())
                        .setRunNonce(Ids.bytes(settings.run(context.getJobInfo())))
                        .build();
        long epoch = client.call(Rpc.OPEN_WRITER, open, settings.timeout).getWriterEpoch();
        this.transactions = new TransactionStream(client, settings.sink(), subtask, epoch, settings.timeout);
    }

    /**
     * Opens the writer.
     *
     * @param stream the one stream, checked at once; null if a router chooses
     */
    public static <T> TransactionalWriter<T> open(
            SinkSettings settings, ElementFormat<T> format, StreamRouter<T> router, String stream, WriterInitContext context)
            throws IOException {
        return Opening.with(
                settings.endpoint,
                client -> {
                    TransactionalWriter<T> writer = new TransactionalWriter<>(client, settings, format, router, context);
                    if (stream != null) {
                        writer.resolve(stream);
                    }
                    return writer;
                });
    }

    @Override
    void append(Destination destination, int segment, BlockData block) throws SluiceException, InterruptedException {
        if (!transactions.isOpen()) {
            transactions.begin();
        }
        transactions.append(destination.streamId, segment, block);
    }

    @Override
    public void flush(boolean endOfInput) throws IOException, InterruptedException {
        sendBuffers();
    }

    @Override
    public Collection<Receipt> prepareCommit() throws IOException, InterruptedException {
        sendBuffers();
        return transactions.isOpen()
                ? Collections.singletonList(Receipt.of(transactions.prepare()))
                : Collections.emptyList();
    }

    @Override
    public void close() {
        transactions.abort();
        transactions.close();
        client.close();
    }
}
