package io.sluice.flink.source.reader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.data.BytesBlockBuilder;
import io.sluice.flink.source.FakeGateway;
import io.sluice.flink.source.NonRecoverableSourceException;
import io.sluice.flink.source.SluiceSource;
import io.sluice.flink.source.SluiceSourceBuilder;
import io.sluice.flink.source.SourceSettings;
import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.flink.source.split.SluiceSplitState;
import io.sluice.proto.gateway.v1.Block;
import io.sluice.proto.gateway.v1.End;
import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorDetail;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.Events;
import io.sluice.proto.gateway.v1.ReadRequest;
import io.sluice.proto.gateway.v1.ReadResponse;
import io.sluice.proto.gateway.v1.Subscribe;
import io.sluice.proto.gateway.v1.Tail;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.flink.connector.base.source.reader.splitreader.SplitsAddition;
import org.apache.flink.metrics.SimpleCounter;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** One Read call for all splits: exact rows, bounded memory, pausing, restarts and refusals, against a gateway that does as it is told. */
class SluiceSplitReaderTest {
    private static final int ROWS_PER_BLOCK = 4;

    private FakeGateway gateway;
    private Sender sender;
    private SluiceClient client;
    private PendingEvents pending;
    private SluiceSplitReader<String> reader;

    @BeforeEach
    void start() throws Exception {
        gateway = new FakeGateway();
        sender = new Sender();
        gateway.reads = sender;
        client = SluiceClient.acquire(gateway.endpoint());
        pending = new PendingEvents(client, 0);
    }

    @AfterEach
    void stop() throws Exception {
        if (reader != null) {
            reader.close();
        }
        pending.close();
        client.close();
        gateway.close();
    }

    private void read(int payloadBytes, SluiceSourceBuilder<String> builder, SluiceSplit... splits) {
        sender.block = block(payloadBytes);
        long[] ends = new long[1024];
        gateway.addBytesStream("s", "in", 7, ends);
        SourceSettings<String> settings = builder.setEndpoint(gateway.endpoint()).setStream("s/in").settings();
        reader = new SluiceSplitReader<>(client, settings, RateLimiter.unlimited(), pending, new SimpleCounter());
        reader.handleSplitsChanges(new SplitsAddition<>(List.of(splits)));
    }

    private static SluiceSourceBuilder<String> source() {
        return SluiceSource.forBytes(new SimpleStringSchema());
    }

    private static SluiceSplit split(int segment, long from, Long end) {
        return new SluiceSplit("s", "in", 7, segment, from, end);
    }

    private static Block block(int payloadBytes) {
        BytesBlockBuilder block = new BytesBlockBuilder();
        for (int i = 0; i < ROWS_PER_BLOCK; i++) {
            block.append(null, new byte[payloadBytes], null, null);
        }
        return block.finish().toProto();
    }

    /** Offsets of one fetch, by split; says that all of it is emitted. */
    private static void take(RecordsWithSplitIds<EventRun<String>> batch, Map<String, List<Long>> into, Set<String> finished) {
        for (String split = batch.nextSplit(); split != null; split = batch.nextSplit()) {
            for (EventRun<String> run = batch.nextRecordFromSplit(); run != null; run = batch.nextRecordFromSplit()) {
                do {
                    into.computeIfAbsent(split, any -> new ArrayList<>()).add(run.offset());
                } while (run.nextRow());
            }
        }
        finished.addAll(batch.finishedSplits());
        batch.recycle();
    }

    @Test
    void readsExactlyTheRowsOfItsRange() throws Exception {
        read(10, source(), split(0, 2, 9L), split(1, 0, 4L));
        Map<String, List<Long>> offsets = new ConcurrentHashMap<>();
        Set<String> finished = new TreeSet<>();
        while (finished.size() < 2) {
            take(reader.fetch(), offsets, finished);
        }
        assertThat(offsets.get("s/in#0")).containsExactly(2L, 3L, 4L, 5L, 6L, 7L, 8L);
        assertThat(offsets.get("s/in#1")).containsExactly(0L, 1L, 2L, 3L);
        // and no more than that is asked for
        assertThat(sender.subscribes).extracting(Subscribe::getEndOffset).containsExactlyInAnyOrder(9L, 4L);
    }

    @Test
    void smallEventsGoTogetherAndLargeOnesAlone() throws Exception {
        assertThat(runsOf(10)).containsExactly(2, 4, 4);
        assertThat(runsOf(10 << 10)).containsExactly(2, 3, 1, 3, 1);
        assertThat(runsOf(40 << 10)).containsOnly(1).hasSize(10);
    }

    /** How many events go together, of those from offset 2 on. */
    private List<Integer> runsOf(int payloadBytes) throws Exception {
        if (reader != null) {
            reader.close();
        }
        read(payloadBytes, source(), split(0, 2, 12L));
        List<Integer> runs = new ArrayList<>();
        while (runs.stream().mapToInt(Integer::intValue).sum() < 10) {
            RecordsWithSplitIds<EventRun<String>> batch = reader.fetch();
            while (batch.nextSplit() != null) {
                for (EventRun<String> run = batch.nextRecordFromSplit(); run != null; run = batch.nextRecordFromSplit()) {
                    int rows = 1;
                    while (run.nextRow()) {
                        rows++;
                    }
                    runs.add(rows);
                }
            }
        }
        return runs;
    }

    @Test
    void everyEventOfARunIsEmittedAndCounted() throws Exception {
        emit(new Collected(Duration.ZERO), 4);
    }

    @Test
    void eventsThatTakeLongGoAlone() throws Exception {
        emit(new Collected(Duration.ofMillis(3)), 1);
    }

    /** Emits the events from offset 1 to 8, at most so many at once. */
    private void emit(Collected output, int atOnce) throws Exception {
        SluiceSplit split = split(0, 1, 8L);
        read(10, source(), split);
        SluiceSplitState state = new SluiceSplitState(split);
        SimpleCounter recordsIn = new SimpleCounter();
        EventEmitter<String> emitter = new EventEmitter<>(recordsIn);
        while (state.offset() < 8) {
            RecordsWithSplitIds<EventRun<String>> batch = reader.fetch();
            while (batch.nextSplit() != null) {
                for (EventRun<String> run = batch.nextRecordFromSplit(); run != null; run = batch.nextRecordFromSplit()) {
                    int before = output.elements.size();
                    // as Flink does for each of its records
                    recordsIn.inc();
                    emitter.emitRecord(run, output, state);
                    assertThat(output.elements.size() - before).isBetween(1, atOnce);
                    assertThat(state.offset()).isEqualTo(1 + output.elements.size());
                    assertThat(recordsIn.getCount()).isEqualTo(output.elements.size());
                }
            }
        }
        assertThat(output.elements).hasSize(7);
    }

    @Test
    void memoryStaysBoundedHoweverManySegmentsPush() throws Exception {
        SluiceSplit[] splits = new SluiceSplit[500];
        for (int i = 0; i < splits.length; i++) {
            splits[i] = split(i, 0, null);
        }
        // Blocks of 256 KiB: every segment may send one at once, 128 MiB in all.
        read((256 << 10) / ROWS_PER_BLOCK, source().setReadMemory(MemorySize.ofMebiBytes(4)), splits);
        Map<String, List<Long>> offsets = new ConcurrentHashMap<>();
        take(reader.fetch(), offsets, new TreeSet<>());
        while (sender.subscribed() < 500) {
            Thread.sleep(10);
        }
        long sentBefore = -1;
        while (sender.sentBytes.get() != sentBefore) {
            sentBefore = sender.sentBytes.get();
            Thread.sleep(300);
        }
        // 4 MiB in the reader, 8 MiB in the connection's window on this side, and what the server's socket holds.
        assertThat(sentBefore).as("bytes sent while nobody reads").isLessThan(24L << 20);
        while (offsets.size() < 500) {
            take(reader.fetch(), offsets, new TreeSet<>());
        }
    }

    @Test
    void aPausedSplitIsHeldBackAndTheOthersGoOn() throws Exception {
        SluiceSplit paused = split(0, 0, null);
        read(100_000, source().setReadMemory(MemorySize.ofMebiBytes(1)), paused, split(1, 0, null));
        Map<String, List<Long>> before = new ConcurrentHashMap<>();
        while (before.size() < 2) {
            take(reader.fetch(), before, new TreeSet<>());
        }
        reader.pauseOrResumeSplits(List.of(paused, split(77, 0, null)), List.of());
        Map<String, List<Long>> during = new ConcurrentHashMap<>();
        while (during.getOrDefault("s/in#1", List.of()).size() < 200) {
            take(reader.fetch(), during, new TreeSet<>());
        }
        assertThat(during).containsOnlyKeys("s/in#1");
        reader.pauseOrResumeSplits(List.of(), List.of(paused));
        Map<String, List<Long>> after = new ConcurrentHashMap<>();
        while (!after.containsKey("s/in#0")) {
            take(reader.fetch(), after, new TreeSet<>());
        }
        List<Long> seen = before.get("s/in#0");
        assertThat(after.get("s/in#0").get(0)).isEqualTo(seen.get(seen.size() - 1) + 1);
    }

    @Test
    void aRestartOfTheGatewayGoesOnAtTheNextOffset() throws Exception {
        read(1_000, source(), split(0, 0, 4_000L));
        Map<String, List<Long>> offsets = new ConcurrentHashMap<>();
        Set<String> finished = new TreeSet<>();
        for (int i = 0; i < 5; i++) {
            take(reader.fetch(), offsets, finished);
        }
        gateway.stop();
        Thread.sleep(300);
        gateway.startAgain();
        while (finished.isEmpty()) {
            take(reader.fetch(), offsets, finished);
        }
        List<Long> all = offsets.get("s/in#0");
        assertThat(all).hasSize(4_000).isSorted().doesNotHaveDuplicates();
        assertThat(sender.calls.get()).isGreaterThan(1);
    }

    @Test
    void aGatewayThatStaysAwayIsNamedAfterTheDeadline() throws Exception {
        read(10, source().setReconnectTimeout(Duration.ofSeconds(1)), split(0, 0, null));
        take(reader.fetch(), new ConcurrentHashMap<>(), new TreeSet<>());
        gateway.stop();
        assertThatThrownBy(() -> {
                    while (true) {
                        take(reader.fetch(), new ConcurrentHashMap<>(), new TreeSet<>());
                    }
                })
                .hasMessageContaining("the gateway at " + gateway.endpoint() + " could not be read from for 1 s");
    }

    @Test
    void aReaderThatStartsBeforeTheGatewayWaitsForIt() throws Exception {
        gateway.stop();
        read(10, source(), split(0, 0, 8L));
        Thread starter = new Thread(() -> {
            try {
                Thread.sleep(1_500);
                gateway.startAgain();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        starter.start();
        Map<String, List<Long>> offsets = new ConcurrentHashMap<>();
        Set<String> finished = new TreeSet<>();
        while (finished.isEmpty()) {
            take(reader.fetch(), offsets, finished);
        }
        assertThat(offsets.get("s/in#0")).hasSize(8);
        starter.join();
    }

    @Test
    void truncatedEventsFailForGoodAndSaySo() {
        sender.refusal = ErrorDetail.newBuilder()
                .setClass_(ErrorClass.REJECTED)
                .setReason(ErrorReason.TRUNCATED)
                .setExpected(100)
                .build();
        read(10, source(), split(3, 42, null));
        assertThatThrownBy(() -> reader.fetch())
                .isInstanceOf(NonRecoverableSourceException.class)
                .hasMessageContaining("events 42 to 99 of s/in#3 were deleted");
    }

    @Test
    void aGapIsNeverSkipped() {
        sender.skip = 1;
        read(10, source(), split(0, 0, null));
        assertThatThrownBy(() -> reader.fetch()).hasMessageContaining("sent offset 1 of s/in#0 where offset 0 was due");
    }

    @Test
    void aSealedSegmentEndsItsSplit() throws Exception {
        sender.sealedAt = 8;
        read(10, source(), split(0, 0, null));
        Map<String, List<Long>> offsets = new ConcurrentHashMap<>();
        Set<String> finished = new TreeSet<>();
        while (finished.isEmpty()) {
            take(reader.fetch(), offsets, finished);
        }
        assertThat(offsets.get("s/in#0")).hasSize(8);
    }

    @Test
    void wakeUpEndsAFetchThatHasNothing() throws Exception {
        sender.sealedAt = 0;
        sender.silent = true;
        read(10, source(), split(0, 0, null));
        Thread waker = new Thread(() -> {
            try {
                Thread.sleep(200);
            } catch (InterruptedException e) {
                return;
            }
            reader.wakeUp();
        });
        waker.start();
        RecordsWithSplitIds<EventRun<String>> batch = reader.fetch();
        assertThat(batch.nextSplit()).isNull();
        assertThat(batch.finishedSplits()).isEmpty();
        waker.join();
    }

    private static final class Collected implements SourceOutput<String> {
        final List<String> elements = new ArrayList<>();
        private final Duration pause;

        Collected(Duration pause) {
            this.pause = pause;
        }

        @Override
        public void collect(String element) {
            throw new AssertionError("every event has a time");
        }

        @Override
        public void collect(String element, long timestamp) {
            elements.add(element);
            long end = System.nanoTime() + pause.toNanos();
            while (System.nanoTime() < end) {
                Thread.onSpinWait();
            }
        }

        @Override
        public void emitWatermark(Watermark watermark) {}

        @Override
        public void markIdle() {}

        @Override
        public void markActive() {}
    }

    /** Sends blocks of one kind without end as far as credit and flow control allow. */
    private static final class Sender implements FakeGateway.ReadHandler {
        final AtomicLong sentBytes = new AtomicLong();
        final AtomicLong calls = new AtomicLong();
        final List<Subscribe> subscribes = new CopyOnWriteArrayList<>();
        volatile Block block;
        volatile ErrorDetail refusal;
        volatile long skip;
        volatile long sealedAt = Long.MAX_VALUE;
        volatile boolean silent;

        int subscribed() {
            return subscribes.size();
        }

        @Override
        public StreamObserver<ReadRequest> opened(StreamObserver<ReadResponse> responses) {
            calls.incrementAndGet();
            ServerCallStreamObserver<ReadResponse> call = (ServerCallStreamObserver<ReadResponse>) responses;
            Session session = new Session(call);
            call.setOnReadyHandler(session::send);
            return session;
        }

        private final class Session implements StreamObserver<ReadRequest> {
            private final ServerCallStreamObserver<ReadResponse> call;
            private final Map<Integer, Subscribe> segments = new ConcurrentHashMap<>();
            private final Map<Integer, Long> credit = new ConcurrentHashMap<>();
            private final Map<Integer, Long> next = new ConcurrentHashMap<>();
            private final Set<Integer> paused = ConcurrentHashMap.newKeySet();
            private final Queue<Integer> turns = new ConcurrentLinkedQueue<>();

            Session(ServerCallStreamObserver<ReadResponse> call) {
                this.call = call;
            }

            @Override
            public void onNext(ReadRequest request) {
                switch (request.getActionCase()) {
                    case SUBSCRIBE:
                        subscribe(request.getSubscribe());
                        break;
                    case CREDIT:
                        credit.computeIfPresent(request.getCredit().getSubscription(), (id, left) -> left + request.getCredit().getBytes());
                        break;
                    case PAUSE:
                        paused.add(request.getPause().getSubscription());
                        break;
                    case RESUME:
                        paused.remove(request.getResume().getSubscription());
                        break;
                    default:
                        break;
                }
                send();
            }

            private void subscribe(Subscribe subscribe) {
                subscribes.add(subscribe);
                if (refusal != null) {
                    call.onNext(ReadResponse.newBuilder()
                            .setEnd(End.newBuilder().setSubscription(subscribe.getSubscription()).setError(refusal).setMessage("no"))
                            .build());
                    return;
                }
                int id = subscribe.getSubscription();
                turns.add(id);
                segments.put(id, subscribe);
                credit.put(id, subscribe.getCreditBytes());
                // As from a log of blocks: the first one may begin below what is wanted.
                next.put(id, subscribe.getFromOffset() / ROWS_PER_BLOCK * ROWS_PER_BLOCK + skip);
                call.onNext(ReadResponse.newBuilder().setTail(Tail.newBuilder().setSubscription(id).setNextOffset(1)).build());
            }

            private synchronized void send() {
                // All get their turn, also when the connection takes only a few blocks at a time.
                for (int idle = 0; idle < turns.size() && call.isReady() && !call.isCancelled() && !silent; idle++) {
                    int id = turns.poll();
                    turns.add(id);
                    if (segments.containsKey(id) && credit.get(id) > 0 && !paused.contains(id)) {
                        sendBlock(id);
                        idle = -1;
                    }
                }
            }

            private void sendBlock(int id) {
                Subscribe subscribe = segments.get(id);
                long base = next.get(id);
                if (base >= sealedAt) {
                    segments.remove(id);
                    call.onNext(ReadResponse.newBuilder().setEnd(End.newBuilder().setSubscription(id).setSealed(true)).build());
                    return;
                }
                if (subscribe.hasEndOffset() && base >= subscribe.getEndOffset()) {
                    segments.remove(id);
                    call.onNext(ReadResponse.newBuilder().setEnd(End.newBuilder().setSubscription(id).setEndOffset(true)).build());
                    return;
                }
                call.onNext(ReadResponse.newBuilder()
                        .setEvents(Events.newBuilder()
                                .setSubscription(id)
                                .setBaseOffset(base)
                                .setNextOffset(base + 1_000)
                                .setBlock(block))
                        .build());
                long size = block.getData().size();
                next.put(id, base + ROWS_PER_BLOCK);
                credit.compute(id, (same, left) -> left - size);
                sentBytes.addAndGet(size);
            }

            @Override
            public void onError(Throwable failure) {}

            @Override
            public void onCompleted() {
                call.onCompleted();
            }
        }
    }
}
