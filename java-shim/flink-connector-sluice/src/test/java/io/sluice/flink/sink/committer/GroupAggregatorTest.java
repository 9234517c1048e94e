package io.sluice.flink.sink.committer;

import com.google.protobuf.ByteString;
import io.sluice.flink.adapter.CommittableMessages;
import io.sluice.flink.client.Ids;
import io.sluice.flink.sink.SinkSettings;
import io.sluice.flink.sink.SluiceSink;
import io.sluice.proto.gateway.v1.GetSinkResponse;
import io.sluice.proto.gateway.v1.SinkInfo;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.connector.sink2.CommittableSummary;
import org.apache.flink.streaming.api.connector.sink2.CommittableWithLineage;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

/**
 * The aggregator's rules, one by one, against a gateway of a few lines: each receipt in exactly one group, groups chained,
 * emitted groups kept over restores and never emitted again, the base moved only by an answer.
 */
class GroupAggregatorTest {

    private static final UUID CLUSTER = new UUID(1, 1);
    private static final UUID TIMELINE = new UUID(2, 2);

    /** Static: the operator reaches its gateway through a serialized factory. */
    private static FakeGateway gateway;

    @BeforeEach
    void freshGateway() {
        gateway = new FakeGateway();
    }

    @Test
    void aCheckpointBecomesOneGroupOfAllItsReceipts() throws Exception {
        try (Harness harness = harness(null)) {
            Receipt late = receipt(1, 5);
            Receipt early = receipt(0, 7);
            harness.receipts(1, late);
            harness.receipts(0, early);
            harness.receipts(2);
            List<GroupCommittable> groups = harness.checkpoint(1);
            assertThat(groups).hasSize(1);
            GroupCommittable group = groups.get(0);
            assertThat(group.group.members).containsExactly(early.txnId, late.txnId);
            assertThat(group.group.checkpoint).isEqualTo(1);
            assertThat(group.group.previous).isNull();
            assertThat(group.group.incarnation).isEqualTo(1);
            assertThat(group.clusterId).isEqualTo(CLUSTER);
            assertThat(group.timelineId).isEqualTo(TIMELINE);
            assertThat(group.sinkScope + "/" + group.sinkName).isEqualTo("s/sink");
        }
    }

    @Test
    void anEmptyCheckpointMakesNoGroupAndLeavesTheChain() throws Exception {
        try (Harness harness = harness(null)) {
            harness.receipts(0, receipt(0, 1));
            UUID first = harness.checkpoint(1).get(0).group.id;
            harness.receipts(0);
            assertThat(harness.checkpoint(2)).isEmpty();
            harness.receipts(0, receipt(0, 1));
            assertThat(harness.checkpoint(3).get(0).group.previous).isEqualTo(first);
        }
    }

    @Test
    void aDeclinedCheckpointsGroupIsNeitherRepeatedNorMerged() throws Exception {
        try (Harness harness = harness(null)) {
            Receipt first = receipt(0, 1);
            harness.receipts(0, first);
            GroupCommittable declined = harness.checkpoint(1).get(0);
            // No notification for 1: it was declined. The committer holds its group.
            Receipt second = receipt(0, 2);
            harness.receipts(0, second);
            GroupCommittable next = harness.checkpoint(2).get(0);
            assertThat(next.group.members).containsExactly(second.txnId);
            assertThat(next.group.previous).isEqualTo(declined.group.id);
        }
    }

    @Test
    void severalTransactionsOfOneSubtaskKeepTheirOrder() throws Exception {
        try (Harness harness = harness(null)) {
            Receipt a = receipt(1, 1);
            Receipt b = receipt(1, 1);
            Receipt c = receipt(0, 1);
            harness.receipts(1, a);
            harness.receipts(1, b);
            harness.receipts(0, c);
            assertThat(harness.checkpoint(9).get(0).group.members).containsExactly(c.txnId, a.txnId, b.txnId);
        }
    }

    @Test
    void receiptsThatWereAnnouncedMustHaveArrived() throws Exception {
        try (Harness harness = harness(null)) {
            harness.processElement(new StreamRecord<>(CommittableMessages.summary(1, 2)));
            harness.processElement(new StreamRecord<>(CommittableMessages.committable(receipt(0, 1), 1)));
            assertThatThrownBy(() -> harness.checkpoint(1))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("announced 2 transactions")
                    .hasMessageContaining("1 arrived");
        }
    }

    @Test
    void theEndOfInputTakesTheNextCheckpointsId() throws Exception {
        try (Harness harness = harness(null)) {
            harness.receipts(0, receipt(0, 1));
            harness.checkpoint(7);
            harness.receipts(1, receipt(1, 1));
            harness.endInput();
            List<GroupCommittable> last = harness.emitted();
            assertThat(last).hasSize(1);
            assertThat(last.get(0).group.checkpoint).isEqualTo(8);
            // The final checkpoint itself finds nothing left.
            assertThat(harness.checkpoint(8)).isEmpty();
        }
    }

    @Test
    void aBatchJobCommitsAtItsEnd() throws Exception {
        try (Harness harness = harness(null)) {
            harness.receipts(0, receipt(0, 3));
            harness.endInput();
            assertThat(harness.emitted().get(0).group.checkpoint).isEqualTo(1);
        }
    }

    @Test
    void aRestoredChainIsAttachedAndContinued() throws Exception {
        OperatorSubtaskState state;
        UUID emitted;
        try (Harness harness = harness(null)) {
            harness.receipts(0, receipt(0, 1));
            emitted = harness.checkpoint(1).get(0).group.id;
            state = harness.snapshot(1, 1);
        }
        try (Harness harness = harness(state)) {
            assertThat(gateway.restored.emitted).extracting(group -> group.id).containsExactly(emitted);
            assertThat(gateway.restored.base).isNull();
            assertThat(gateway.restored.timelineId).isEqualTo(TIMELINE);
            harness.receipts(0, receipt(0, 1));
            GroupCommittable next = harness.checkpoint(2).get(0);
            assertThat(next.group.previous).isEqualTo(emitted);
            assertThat(next.group.incarnation).isEqualTo(2);
        }
    }

    @Test
    void theBaseMovesWithTheGatewaysAnswerOnly() throws Exception {
        try (Harness harness = harness(null)) {
            harness.receipts(0, receipt(0, 1));
            UUID first = harness.checkpoint(1).get(0).group.id;
            harness.notifyOfCompletedCheckpoint(1);
            harness.receipts(0, receipt(0, 1));
            UUID second = harness.checkpoint(2).get(0).group.id;
            // The look of checkpoint 1 has not been answered yet.
            assertThat(chain(harness.snapshot(2, 2)).emitted).extracting(group -> group.id).containsExactly(first, second);

            gateway.answer(1, first);
            harness.checkpoint(3);
            Chain moved = chain(harness.snapshot(3, 3));
            assertThat(moved.base).isEqualTo(first);
            assertThat(moved.emitted).extracting(group -> group.id).containsExactly(second);
        }
    }

    @Test
    void aForeignHeadFailsTheTask() throws Exception {
        try (Harness harness = harness(null)) {
            harness.receipts(0, receipt(0, 1));
            harness.checkpoint(1);
            harness.notifyOfCompletedCheckpoint(1);
            gateway.answer(1, new UUID(9, 9));
            assertThatThrownBy(() -> harness.checkpoint(2))
                    .isInstanceOf(SinkFencedException.class)
                    .hasMessageContaining("somebody else commits");
        }
    }

    @Test
    void aNewerIncarnationFailsTheTask() throws Exception {
        try (Harness harness = harness(null)) {
            harness.receipts(0, receipt(0, 1));
            UUID group = harness.checkpoint(1).get(0).group.id;
            harness.notifyOfCompletedCheckpoint(1);
            gateway.answer(2, group);
            assertThatThrownBy(() -> harness.checkpoint(2)).isInstanceOf(SinkFencedException.class).hasMessageContaining("taken sink");
        }
    }

    @Test
    void aFailedLookIsRepeatedAtTheNextCheckpoint() throws Exception {
        try (Harness harness = harness(null)) {
            harness.receipts(0, receipt(0, 1));
            UUID group = harness.checkpoint(1).get(0).group.id;
            harness.notifyOfCompletedCheckpoint(1);
            gateway.looks.get(0).completeExceptionally(new RuntimeException("gateway away"));
            harness.notifyOfCompletedCheckpoint(2);
            assertThat(gateway.looks).hasSize(2);
            gateway.answer(1, group);
            harness.checkpoint(3);
            assertThat(chain(harness.snapshot(3, 3)).base).isEqualTo(group);
        }
    }

    @Test
    void aRunThatHasCommittedAlreadyMintsNothing() throws Exception {
        gateway.committedByThisRun = true;
        try (Harness harness = harness(null)) {
            harness.receipts(0, receipt(0, 1));
            harness.endInput();
            assertThat(harness.emitted()).isEmpty();
        }
    }

    private static Receipt receipt(int subtask, long events) {
        return new Receipt(UUID.randomUUID(), subtask, 1, events, 10 * events);
    }

    private static Chain chain(OperatorSubtaskState state) throws Exception {
        gateway.restored = null;
        try (Harness restored = harness(state)) {
            return gateway.restored;
        }
    }

    private static Harness harness(OperatorSubtaskState state) throws Exception {
        Harness harness = new Harness();
        harness.setup();
        if (state != null) {
            harness.setRestoredCheckpointId(1);
            harness.initializeState(state);
        }
        harness.open();
        return harness;
    }

    private static SinkSettings settings() throws Exception {
        SluiceSink<String> sink =
                SluiceSink.<String>builder()
                        .setEndpoint("localhost:1")
                        .setStream("s/stream")
                        .setSinkId("sink")
                        .setSerializer(new org.apache.flink.api.common.serialization.SimpleStringSchema())
                        .build();
        java.lang.reflect.Field field = SluiceSink.class.getDeclaredField("settings");
        field.setAccessible(true);
        return (SinkSettings) field.get(sink);
    }

    private static final class Harness
            extends OneInputStreamOperatorTestHarness<CommittableMessage<Receipt>, CommittableMessage<GroupCommittable>> {

        Harness() throws Exception {
            super(new GroupAggregator(settings(), 2, run -> gateway), 1, 1, 0);
        }

        void receipts(int subtask, Receipt... receipts) throws Exception {
            processElement(new StreamRecord<>(new CommittableSummary<>(subtask, 3, 1, receipts.length, receipts.length, 0)));
            for (Receipt receipt : receipts) {
                processElement(new StreamRecord<>(new CommittableWithLineage<>(receipt, 1, subtask)));
            }
        }

        List<GroupCommittable> checkpoint(long id) throws Exception {
            prepareSnapshotPreBarrier(id);
            return emitted();
        }

        List<GroupCommittable> emitted() {
            List<GroupCommittable> groups = new ArrayList<>();
            int announced = 0;
            for (CommittableMessage<GroupCommittable> message : extractOutputValues()) {
                if (message instanceof CommittableSummary) {
                    announced += ((CommittableSummary<?>) message).getNumberOfCommittables();
                } else {
                    groups.add(((CommittableWithLineage<GroupCommittable>) message).getCommittable());
                }
            }
            getOutput().clear();
            assertThat(announced).isEqualTo(groups.size());
            return groups;
        }
    }

    private static final class FakeGateway implements GroupAggregator.Gateway {
        private long incarnation;
        private Chain restored;
        private boolean committedByThisRun;
        private final List<CompletableFuture<GetSinkResponse>> looks = new ArrayList<>();

        @Override
        public GroupAggregator.Attached attach(Chain state, int parallelism) {
            assertThat(parallelism).isEqualTo(2);
            if (committedByThisRun) {
                return null;
            }
            restored = state;
            incarnation++;
            return new GroupAggregator.Attached(
                    incarnation, CLUSTER, state == null ? new Chain(TIMELINE, null, List.of()) : state);
        }

        @Override
        public CompletableFuture<GetSinkResponse> look() {
            looks.add(new CompletableFuture<>());
            return looks.get(looks.size() - 1);
        }

        void answer(long incarnation, UUID head) {
            ByteString headGroup = Ids.bytes(head);
            looks.get(looks.size() - 1)
                    .complete(
                            GetSinkResponse.newBuilder()
                                    .setSink(SinkInfo.newBuilder().setIncarnation(incarnation).setHeadGroup(headGroup))
                                    .build());
        }

        @Override
        public void close() {}
    }
}
