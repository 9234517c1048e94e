package io.sluice.bench;

import io.sluice.flink.client.Ids;
import io.sluice.flink.client.Names;
import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.TransactionStream;
import io.sluice.flink.data.BytesBlockBuilder;
import io.sluice.proto.gateway.v1.GetStreamRequest;
import io.sluice.proto.gateway.v1.OpenWriterRequest;
import io.sluice.proto.gateway.v1.SinkName;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** W7: leaves many prepared transactions of one event each in the gateway, as jobs that died before their commit would. */
final class PrepareMany {
    private static final int WRITERS = 8;
    static final int SEGMENTS = 2;
    private static final Duration TIMEOUT = Duration.ofMinutes(1);

    private PrepareMany() {}

    static void run(Arguments arguments) throws Exception {
        String stream = arguments.text("stream");
        long transactions = arguments.number("transactions");
        SinkName sink = Names.sink(stream, "");
        UUID run = UUID.randomUUID();
        ExecutorService threads = Executors.newFixedThreadPool(WRITERS);
        try (SluiceClient client = SluiceClient.acquire(arguments.text("endpoint"))) {
            GetStreamRequest get = GetStreamRequest.newBuilder().setStream(Names.stream(stream)).build();
            long streamId = client.call(Rpc.GET_STREAM, get).getStream().getStreamId();
            Progress.started();
            List<Future<?>> running = new ArrayList<>();
            for (int writer = 0; writer < WRITERS; writer++) {
                int subtask = writer;
                long share = transactions / WRITERS + (writer < transactions % WRITERS ? 1 : 0);
                running.add(threads.submit(() -> {
                    prepare(client, sink, run, subtask, streamId, share);
                    return null;
                }));
            }
            for (Future<?> writer : running) {
                writer.get();
            }
            Progress.ended(transactions, 0);
            Progress.untilEnd().print();
        } finally {
            threads.shutdown();
        }
    }

    private static void prepare(SluiceClient client, SinkName sink, UUID run, int subtask, long streamId, long count) throws Exception {
        long epoch = openWriter(client, sink, run, subtask, WRITERS);
        Payloads payloads = new Payloads(100, subtask);
        try (TransactionStream transactions = new TransactionStream(client, sink, subtask, epoch, TIMEOUT)) {
            for (long number = 0; number < count; number++) {
                transactions.begin();
                BytesBlockBuilder block = new BytesBlockBuilder();
                block.append(null, payloads.next(), null, null);
                transactions.append(streamId, (int) (number % SEGMENTS), block.finish());
                transactions.prepare();
            }
        }
    }

    /** Makes this process the owner of one of a sink's writers and returns the epoch to write with. */
    static long openWriter(SluiceClient client, SinkName sink, UUID run, int subtask, int parallelism) throws Exception {
        OpenWriterRequest open = OpenWriterRequest.newBuilder()
                .setRequest(client.nextRequestId())
                .setSink(sink)
                .setSubtask(subtask)
                .setParallelism(parallelism)
                .setRunNonce(Ids.bytes(run))
                .build();
        return client.call(Rpc.OPEN_WRITER, open).getWriterEpoch();
    }
}
