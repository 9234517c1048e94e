package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import io.sluice.flink.client.EventStream;
import io.sluice.flink.client.Names;
import io.sluice.flink.client.PreparedTransaction;
import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.TransactionStream;
import io.sluice.flink.data.BytesBlockBuilder;
import io.sluice.flink.source.SluiceSource;
import io.sluice.flink.source.StoppingPositions;
import io.sluice.proto.gateway.v1.AttachSinkRequest;
import io.sluice.proto.gateway.v1.AttachSinkResponse;
import io.sluice.proto.gateway.v1.CommitGroupRequest;
import io.sluice.proto.gateway.v1.GetSinkRequest;
import io.sluice.proto.gateway.v1.Group;
import io.sluice.proto.gateway.v1.JobMode;
import io.sluice.proto.gateway.v1.OpenWriterRequest;
import io.sluice.proto.gateway.v1.SinkName;
import io.sluice.proto.gateway.v1.StreamInfo;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** 500 segments read by a job that stands still, so that everything that may be sent ahead is under way: commits are answered at once. */
@Tag("slow")
class ManySegmentsITCase {
    private static final int SEGMENTS = 500;
    private static final int BLOCKS_PER_SEGMENT = 4;
    private static final int ROWS_PER_BLOCK = 64;
    private static final int ROW_BYTES = 1_000;
    private static final int COMMITS = 20;

    private static final CountDownLatch GO_ON = new CountDownLatch(1);
    private static final AtomicLong EMITTED = new AtomicLong();

    @Test
    @Timeout(value = 150, unit = TimeUnit.SECONDS)
    void commitsAreAnsweredWhileFiveHundredSegmentsAreRead() throws Exception {
        try (GatewayProcess gateway = GatewayProcess.start();
                TestStreams streams = new TestStreams(gateway);
                Cluster ignored = Cluster.start(1, 2)) {
            streams.create("many/in", SEGMENTS);
            fill(streams);
            StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofSeconds(1), 0);
            SluiceSource<String> source = SluiceSource.forBytes(new SimpleStringSchema())
                    .setEndpoint(gateway.endpoint())
                    .setStream("many/in")
                    .setStoppingPositions(StoppingPositions.latest())
                    .build();
            env.fromSource(source, WatermarkStrategy.noWatermarks(), "many")
                    .map(ManySegmentsITCase::wait)
                    .sinkTo(new DiscardingSink<>());
            JobClient job = env.executeAsync("many segments");
            Cluster.await("the first event", Duration.ofSeconds(60), () -> EMITTED.get() > 0);
            Thread.sleep(2_000);

            long slowest = 0;
            try (Committer committer = new Committer(streams)) {
                for (int i = 0; i < COMMITS; i++) {
                    long start = System.nanoTime();
                    committer.commit();
                    slowest = Math.max(slowest, System.nanoTime() - start);
                    assertThat(streams.count("many/out")).isEqualTo(i + 1);
                }
            }
            assertThat(TimeUnit.NANOSECONDS.toMillis(slowest)).as("milliseconds of the slowest commit").isLessThan(1_000);
            GO_ON.countDown();
            Cluster.finish(job, Duration.ofSeconds(90));
            assertThat(EMITTED.get()).isEqualTo((long) SEGMENTS * BLOCKS_PER_SEGMENT * ROWS_PER_BLOCK);
        } finally {
            GO_ON.countDown();
        }
    }

    private static String wait(String line) throws InterruptedException {
        EMITTED.incrementAndGet();
        GO_ON.await();
        return line;
    }

    private static void fill(TestStreams streams) throws Exception {
        byte[] payload = new byte[ROW_BYTES];
        try (EventStream writer = new EventStream(streams.client, Names.stream("many/in"), "filler", TestStreams.TIMEOUT)) {
            for (int segment = 0; segment < SEGMENTS; segment++) {
                byte[] key = SegmentKeys.keyOf(SEGMENTS, segment);
                for (int i = 0; i < BLOCKS_PER_SEGMENT; i++) {
                    BytesBlockBuilder block = new BytesBlockBuilder();
                    for (int row = 0; row < ROWS_PER_BLOCK; row++) {
                        block.append(key, payload, null, null);
                    }
                    writer.append(segment, block.finish());
                }
            }
            writer.flush();
        }
    }

    /** A sink by hand: one writer, one group per transaction. */
    private static final class Committer implements AutoCloseable {
        private final TestStreams streams;
        private final SinkName sink = SinkName.newBuilder().setScope("many").setName("by-hand").build();
        private final StreamInfo out;
        private final TransactionStream writer;
        private final AttachSinkResponse attached;
        private ByteString previous = ByteString.EMPTY;
        private long checkpoint;

        Committer(TestStreams streams) {
            this.streams = streams;
            this.out = streams.create("many/out", 1);
            ByteString run = bytes(UUID.randomUUID());
            long epoch = streams.call(Rpc.OPEN_WRITER, OpenWriterRequest.newBuilder()
                            .setRequest(streams.client.nextRequestId())
                            .setSink(sink)
                            .setParallelism(1)
                            .setRunNonce(run)
                            .build())
                    .getWriterEpoch();
            this.writer = new TransactionStream(streams.client, sink, 0, epoch, TestStreams.TIMEOUT);
            long incarnation =
                    streams.call(Rpc.GET_SINK, GetSinkRequest.newBuilder().setSink(sink).build()).getSink().getIncarnation();
            this.attached = streams.call(Rpc.ATTACH_SINK, AttachSinkRequest.newBuilder()
                    .setRequest(streams.client.nextRequestId())
                    .setSink(sink)
                    .setRunNonce(run)
                    .setParallelism(1)
                    .setIncarnationRead(incarnation)
                    .setMode(JobMode.STREAMING)
                    .build());
        }

        void commit() throws Exception {
            writer.begin();
            BytesBlockBuilder block = new BytesBlockBuilder();
            block.append(null, new byte[] {1}, null, null);
            writer.append(out.getStreamId(), 0, block.finish());
            PreparedTransaction prepared = writer.prepare();
            ByteString id = bytes(UUID.randomUUID());
            streams.call(Rpc.COMMIT_GROUP, CommitGroupRequest.newBuilder()
                    .setSink(sink)
                    .setClusterId(attached.getClusterId())
                    .setTimelineId(attached.getTimelineId())
                    .setGroup(Group.newBuilder()
                            .setGroupId(id)
                            .setCheckpoint(++checkpoint)
                            .setPrevGroup(previous)
                            .addMembers(bytes(prepared.txnId))
                            .setIncarnation(attached.getIncarnation()))
                    .build());
            previous = id;
        }

        private static ByteString bytes(UUID id) {
            ByteBuffer buffer = ByteBuffer.allocate(16).putLong(id.getMostSignificantBits()).putLong(id.getLeastSignificantBits());
            return ByteString.copyFrom(buffer.array());
        }

        @Override
        public void close() {
            writer.close();
        }
    }
}
