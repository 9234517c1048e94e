package io.sluice.flink.source.enumerator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.Message;
import io.sluice.flink.source.FakeGateway;
import io.sluice.flink.source.NonRecoverableSourceException;
import io.sluice.flink.source.SluiceSource;
import io.sluice.flink.source.SluiceSourceBuilder;
import io.sluice.flink.source.StartingPositions;
import io.sluice.flink.source.StoppingPositions;
import io.sluice.flink.source.reader.PositionsReport;
import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.proto.gateway.v1.CheckpointRequest;
import io.sluice.proto.gateway.v1.CheckpointResponse;
import io.sluice.proto.gateway.v1.CreateGroupRequest;
import io.sluice.proto.gateway.v1.CreateGroupResponse;
import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.ResetGroupRequest;
import io.sluice.proto.gateway.v1.ResetGroupResponse;
import io.sluice.proto.gateway.v1.SegmentPosition;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.mocks.MockSplitEnumeratorContext;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Segments are found once, handed out evenly, kept in the state, and completed checkpoints reach the group. */
class SluiceEnumeratorTest {
    private static final int READERS = 2;

    private FakeGateway gateway;
    private MockSplitEnumeratorContext<SluiceSplit> context;

    @BeforeEach
    void start() throws Exception {
        gateway = new FakeGateway();
        gateway.addBytesStream("nyc", "flights", 7, 10, 20, 30, 40, 50);
        context = new MockSplitEnumeratorContext<>(READERS);
    }

    @AfterEach
    void stop() throws Exception {
        context.close();
        gateway.close();
    }

    private SluiceSourceBuilder<String> source() {
        return SluiceSource.forBytes(new SimpleStringSchema()).setEndpoint(gateway.endpoint()).setStream("nyc/flights");
    }

    private void registerReaders() {
        for (int reader = 0; reader < READERS; reader++) {
            context.registerReader(new ReaderInfo(reader, "here"));
        }
    }

    private Map<Integer, List<SluiceSplit>> assigned() {
        Map<Integer, List<SluiceSplit>> all = new TreeMap<>();
        context.getSplitsAssignmentSequence().forEach(step -> step.assignment()
                .forEach((reader, splits) -> all.computeIfAbsent(reader, any -> new ArrayList<>()).addAll(splits)));
        return all;
    }

    @Test
    void segmentsAreSpreadEvenlyAndNothingBlocksTheCoordinator() throws Throwable {
        SplitEnumerator<SluiceSplit, SluiceEnumeratorState> enumerator = source().build().createEnumerator(context);
        gateway.stop();
        registerReaders();
        enumerator.start();
        enumerator.addReader(0);
        enumerator.addReader(1);
        assertThat(enumerator.snapshotState(1)).as("nothing is resolved while the gateway is away")
                .isEqualTo(new SluiceEnumeratorState(false, List.of()));
        gateway.startAgain();
        context.runNextOneTimeCallable();
        assertThat(assigned().get(0)).extracting(SluiceSplit::segment).containsExactly(0, 2, 4);
        assertThat(assigned().get(1)).extracting(SluiceSplit::segment).containsExactly(1, 3);
        assertThat(context.hasNoMoreSplits(0)).as("an unbounded source may get successors").isFalse();
        enumerator.close();
    }

    @Test
    void latestIsResolvedOnceAndKept() throws Throwable {
        SluiceSource<String> source = source()
                .setStartingPositions(StartingPositions.latest())
                .setStoppingPositions(StoppingPositions.latest())
                .build();
        SplitEnumerator<SluiceSplit, SluiceEnumeratorState> enumerator = source.createEnumerator(context);
        enumerator.start();
        context.runNextOneTimeCallable();
        SluiceEnumeratorState state = enumerator.snapshotState(1);
        enumerator.close();
        assertThat(state.segments()).extracting(segment -> segment.split().offset()).containsExactly(10L, 20L, 30L, 40L, 50L);

        gateway.addBytesStream("nyc", "flights", 7, 11, 22, 33, 44, 55);
        SplitEnumerator<SluiceSplit, SluiceEnumeratorState> restored = source.restoreEnumerator(context, state);
        restored.start();
        registerReaders();
        restored.addReader(0);
        restored.addReader(1);
        assertThat(context.getOneTimeCallables()).as("calls to resolve again").isEmpty();
        List<SluiceSplit> splits = assigned().values().stream().flatMap(List::stream).collect(Collectors.toList());
        assertThat(splits).hasSize(5).allMatch(SluiceSplit::isFinished);
        assertThat(context.hasNoMoreSplits(0)).isTrue();
        restored.close();
    }

    @Test
    void splitsOfALostReaderComeBackToItsSuccessor() throws Throwable {
        SplitEnumerator<SluiceSplit, SluiceEnumeratorState> enumerator = source().build().createEnumerator(context);
        registerReaders();
        enumerator.start();
        context.runNextOneTimeCallable();
        List<SluiceSplit> lost = assigned().get(1);
        context.unregisterReader(1);
        enumerator.addSplitsBack(lost, 1);
        assertThat(enumerator.snapshotState(1).segments()).extracting(SegmentProgress::assigned)
                .containsExactly(true, false, true, false, true);
        context.registerReader(new ReaderInfo(1, "here"));
        enumerator.addReader(1);
        assertThat(assigned().get(1)).extracting(SluiceSplit::segment).containsExactly(1, 3, 1, 3);
        enumerator.close();
    }

    @Test
    void aRestoredStateOfOtherStreamsIsRefused() {
        SluiceEnumeratorState other = new SluiceEnumeratorState(true,
                List.of(new SegmentProgress(new SluiceSplit("nyc", "weather", 8, 0, 0, null), true)));
        SplitEnumerator<SluiceSplit, SluiceEnumeratorState> enumerator = source().build().restoreEnumerator(context, other);
        assertThatThrownBy(enumerator::start)
                .isInstanceOf(NonRecoverableSourceException.class)
                .hasMessageContaining("nyc/weather")
                .hasMessageContaining("nyc/flights");
    }

    @Test
    void aStreamAddedLaterIsReadFromItsStart() throws Throwable {
        gateway.addBytesStream("nyc", "weather", 8, 5);
        SluiceEnumeratorState old = new SluiceEnumeratorState(true,
                List.of(new SegmentProgress(new SluiceSplit("nyc", "flights", 7, 0, 3, null), true)));
        SplitEnumerator<SluiceSplit, SluiceEnumeratorState> enumerator =
                source().setStreams(List.of("nyc/flights", "nyc/weather")).build().restoreEnumerator(context, old);
        enumerator.start();
        context.runNextOneTimeCallable();
        assertThat(enumerator.snapshotState(2).segments()).extracting(segment -> segment.split().toString())
                .containsExactly("nyc/flights#0 [3, )", "nyc/weather#0 [0, )");
        enumerator.close();
    }

    @Test
    void completedCheckpointsReachTheGroupWithAllSegments() throws Throwable {
        gateway.groups = this::acceptGroupCalls;
        SplitEnumerator<SluiceSplit, SluiceEnumeratorState> enumerator =
                source().setReaderGroup("mirror").build().createEnumerator(context);
        registerReaders();
        enumerator.start();
        context.runNextOneTimeCallable();
        enumerator.handleSourceEvent(0, new PositionsReport(4, Map.of("nyc/flights#0", 4L, "nyc/flights#2", 6L)));
        enumerator.handleSourceEvent(1, new PositionsReport(4, Map.of("nyc/flights#1", 5L)));
        enumerator.handleSourceEvent(0, new PositionsReport(5, Map.of("nyc/flights#0", 9L)));
        enumerator.notifyCheckpointComplete(4);
        context.runNextOneTimeCallable();
        CheckpointRequest recorded = (CheckpointRequest) gateway.groupCalls.get(gateway.groupCalls.size() - 1);
        assertThat(recorded.getCheckpoint()).isEqualTo(4);
        assertThat(recorded.getPositions(0).getSegmentsList()).extracting(SegmentPosition::getOffset).containsExactly(4L, 5L, 6L, 0L, 0L);
        assertThat(enumerator.snapshotState(6).segments()).as("positions that outlive readers which ended")
                .extracting(segment -> segment.split().offset()).containsExactly(4L, 5L, 6L, 0L, 0L);
        enumerator.close();
    }

    @Test
    void aSlowGroupGetsOnlyTheNewestCheckpointAndFailuresStayHere() throws Throwable {
        gateway.groups = this::acceptGroupCalls;
        SplitEnumerator<SluiceSplit, SluiceEnumeratorState> enumerator =
                source().setReaderGroup("mirror").build().createEnumerator(context);
        enumerator.start();
        context.runNextOneTimeCallable();
        gateway.groupCalls.clear();
        enumerator.notifyCheckpointComplete(1);
        enumerator.notifyCheckpointComplete(2);
        enumerator.notifyCheckpointComplete(3);
        context.runNextOneTimeCallable();
        assertThat(gateway.groupCalls).extracting(call -> ((CheckpointRequest) call).getCheckpoint()).containsExactly(3L);

        gateway.groups = call -> {
            throw FakeGateway.refusal(ErrorClass.INTERNAL, ErrorReason.BUG, "out of order");
        };
        enumerator.notifyCheckpointComplete(4);
        context.runNextOneTimeCallable();
        enumerator.close();
    }

    @Test
    void aResubmittedJobWhoseCheckpointNumbersAreTakenStillMovesTheGroup() throws Throwable {
        gateway.groups = call -> {
            if (call instanceof CheckpointRequest) {
                throw FakeGateway.refusal(ErrorClass.CONFLICT, ErrorReason.ALREADY_EXISTS, "checkpoint 1 has other positions");
            }
            return acceptGroupCalls(call);
        };
        SplitEnumerator<SluiceSplit, SluiceEnumeratorState> enumerator =
                source().setReaderGroup("mirror").build().createEnumerator(context);
        enumerator.start();
        context.runNextOneTimeCallable();
        enumerator.notifyCheckpointComplete(1);
        context.runNextOneTimeCallable();
        assertThat(gateway.groupCalls.get(gateway.groupCalls.size() - 1)).isInstanceOf(ResetGroupRequest.class);
        enumerator.close();
    }

    private Message acceptGroupCalls(Message call) {
        if (call instanceof CreateGroupRequest) {
            return CreateGroupResponse.getDefaultInstance();
        }
        if (call instanceof CheckpointRequest) {
            return CheckpointResponse.getDefaultInstance();
        }
        if (call instanceof ResetGroupRequest) {
            return ResetGroupResponse.getDefaultInstance();
        }
        throw FakeGateway.refusal(ErrorClass.NOT_FOUND, ErrorReason.UNKNOWN_READER_GROUP, "there is no such group");
    }
}
