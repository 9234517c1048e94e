package io.sluice.flink.client;

import io.sluice.flink.data.BlockData;
import io.sluice.flink.data.BytesBlockBuilder;
import io.sluice.flink.data.BytesBlockReader;
import io.sluice.proto.gateway.v1.AppendChunkRequest;
import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.SinkName;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

/** A writer's transaction over a gateway that crashes: nothing is lost, doubled or reordered, or the writer says so. */
class TransactionStreamTest {

    private FakeTransactions gateway;
    private SluiceClient client;
    private TransactionStream stream;

    @BeforeEach
    void open() throws Exception {
        gateway = new FakeTransactions();
        client = SluiceClient.acquire(gateway.endpoint());
        SinkName sink = SinkName.newBuilder().setScope("s").setName("sink").build();
        stream = new TransactionStream(client, sink, 4, 9, Duration.ofSeconds(20));
    }

    @AfterEach
    void close() {
        stream.close();
        client.close();
        gateway.close();
    }

    @Test
    void blocksArriveAsTheyWereBuilt() throws Exception {
        stream.begin();
        stream.append(3, 1, block(300));
        stream.append(7, 0, block(301));
        PreparedTransaction receipt = stream.prepare();
        assertThat(receipt.events).isEqualTo(2);
        assertThat(receipt.subtask).isEqualTo(4);
        assertThat(receipt.writerEpoch).isEqualTo(9);
        List<AppendChunkRequest> chunks = gateway.only().chunks;
        assertThat(chunks).extracting(AppendChunkRequest::getStreamId).containsExactly(3L, 7L);
        assertThat(chunks).extracting(AppendChunkRequest::getSegment).containsExactly(1, 0);
        assertThat(new BytesBlockReader().open(chunks.get(1).getBlock()).value(0)).hasSize(301);
        assertThat(receipt.bytes).isEqualTo(chunks.stream().mapToLong(chunk -> chunk.getBlock().getData().size()).sum());
        assertThat(stream.isOpen()).isFalse();
    }

    @Test
    void transactionsFollowEachOtherOverOneCall() throws Exception {
        for (int i = 0; i < 5; i++) {
            stream.begin();
            stream.append(1, 0, block(10 + i));
            stream.prepare();
        }
        assertThat(gateway.transactions).hasSize(5);
        assertThat(gateway.transactions.values()).allMatch(transaction -> transaction.prepared && transaction.chunks.size() == 1);
    }

    @Test
    void whatACrashForgetsIsSentAgain() throws Exception {
        stream.begin();
        for (int i = 0; i < 20; i++) {
            stream.append(1, 0, block(100 + i));
            if (i == 9) {
                awaitAccepted(10);
                gateway.only().durable = 6;
                gateway.crash(false);
            }
        }
        stream.prepare();
        assertOrder(20);
        assertThat(gateway.begins).isEqualTo(1);
    }

    @Test
    void aCrashBetweenTheLastAnswerAndPrepareIsHealed() throws Exception {
        stream.begin();
        for (int i = 0; i < 5; i++) {
            stream.append(1, 0, block(100 + i));
        }
        awaitAccepted(5);
        gateway.crash(false);
        stream.prepare();
        assertOrder(5);
    }

    @Test
    void evenALostBeginIsRepeated() throws Exception {
        stream.begin();
        for (int i = 0; i < 3; i++) {
            stream.append(1, 0, block(100 + i));
        }
        awaitAccepted(3);
        gateway.crash(true);
        stream.prepare();
        assertOrder(3);
        assertThat(gateway.begins).isEqualTo(2);
    }

    @Test
    void aLostAnswerOfPrepareIsAskedForAgain() throws Exception {
        gateway.lostPrepareAnswers = 2;
        stream.begin();
        stream.append(1, 0, block(5));
        assertThat(stream.prepare().events).isEqualTo(1);
        assertThat(gateway.only().prepared).isTrue();
    }

    @Test
    void blocksThatWereLetGoCannotBeSentAgainAndTheFailureSaysSo() throws Exception {
        stream.begin();
        // 40 MiB that are answered but never durable: more than is held.
        for (int i = 0; i < 40; i++) {
            stream.append(1, 0, block(1 << 20));
        }
        awaitAccepted(40);
        gateway.crash(false);
        assertThatThrownBy(() -> stream.prepare())
                .isInstanceOf(SluiceException.class)
                .hasMessageContaining("lost what was not yet durable")
                .satisfies(e -> assertThat(((SluiceException) e).detail().getAbortReason()).isEqualTo("LOST_UNSYNCED"))
                .satisfies(e -> assertThat(((SluiceException) e).retriable()).isFalse());
    }

    @Test
    void durableBlocksAreNotHeld() throws Exception {
        gateway.durableAtOnce = true;
        stream.begin();
        for (int i = 0; i < 40; i++) {
            stream.append(1, 0, block(1 << 20));
        }
        awaitAccepted(40);
        gateway.crash(false);
        stream.append(1, 0, block(7));
        stream.prepare();
        assertThat(gateway.only().chunks).hasSize(41);
    }

    @Test
    void anAbortedTransactionEndsTheWriter() throws Exception {
        stream.begin();
        stream.append(1, 0, block(5));
        awaitAccepted(1);
        gateway.only().aborted = true;
        gateway.crash(false);
        assertThatThrownBy(() -> stream.prepare())
                .isInstanceOf(SluiceException.class)
                .hasMessageContaining("is ABORTED (FENCED) while its writer still writes it")
                .satisfies(e -> assertThat(((SluiceException) e).reason()).isEqualTo(ErrorReason.TRANSACTION_ABORTED));
    }

    @Test
    void aRefusedBlockIsReportedWithItsReason() throws Exception {
        gateway.refuseAppends = ErrorReason.BAD_BLOCK;
        stream.begin();
        assertThatThrownBy(
                        () -> {
                            stream.append(1, 0, block(5));
                            stream.prepare();
                        })
                .isInstanceOf(SluiceException.class)
                .satisfies(e -> assertThat(((SluiceException) e).errorClass()).isEqualTo(ErrorClass.REJECTED))
                .satisfies(e -> assertThat(((SluiceException) e).reason()).isEqualTo(ErrorReason.BAD_BLOCK));
    }

    @Test
    void aSlowGatewayStopsTheWriter() throws Exception {
        gateway.silent = true;
        stream.begin();
        AtomicInteger added = new AtomicInteger();
        Thread task =
                new Thread(
                        () -> {
                            try {
                                BlockData block = block(1 << 20);
                                for (int i = 0; i < 100; i++) {
                                    stream.append(1, 0, block);
                                    added.incrementAndGet();
                                }
                            } catch (SluiceException | InterruptedException e) {
                                Thread.currentThread().interrupt();
                            }
                        });
        task.start();
        awaitAccepted(8);
        Thread.sleep(500);
        assertThat(task.isAlive()).isTrue();
        assertThat(added).hasValueLessThanOrEqualTo(9);
        task.interrupt();
        task.join(10_000);
        assertThat(task.isAlive()).isFalse();
    }

    @Test
    void aGatewayThatStaysAwayIsNamed() throws Exception {
        stream.close();
        stream = new TransactionStream(client, SinkName.newBuilder().setScope("s").setName("sink").build(), 0, 1, Duration.ofMillis(500));
        stream.begin();
        stream.append(1, 0, block(5));
        awaitAccepted(1);
        String endpoint = gateway.endpoint();
        gateway.close();
        assertThatThrownBy(() -> stream.prepare())
                .isInstanceOf(SluiceException.class)
                .hasMessageContaining(endpoint)
                .satisfies(e -> assertThat(((SluiceException) e).retriable()).isTrue());
    }

    private void assertOrder(int count) throws Exception {
        List<AppendChunkRequest> chunks = gateway.only().chunks;
        assertThat(chunks).hasSize(count);
        for (int i = 0; i < count; i++) {
            assertThat(chunks.get(i).getSeq()).isEqualTo(i);
            assertThat(new BytesBlockReader().open(chunks.get(i).getBlock()).value(0)).hasSize(100 + i);
        }
    }

    private void awaitAccepted(int count) throws InterruptedException {
        for (int i = 0; i < 1000 && gateway.accepted() < count; i++) {
            Thread.sleep(5);
        }
        assertThat(gateway.accepted()).isGreaterThanOrEqualTo(count);
        // The answers need a moment more.
        Thread.sleep(50);
    }

    private static BlockData block(int bytes) {
        BytesBlockBuilder builder = new BytesBlockBuilder();
        builder.append(null, new byte[bytes], null, null);
        return builder.finish();
    }
}
