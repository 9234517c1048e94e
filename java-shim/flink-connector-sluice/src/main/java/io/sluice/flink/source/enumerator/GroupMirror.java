package io.sluice.flink.source.enumerator;

import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.flink.source.GroupNames;
import io.sluice.flink.source.reader.PositionsReport;
import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.proto.gateway.v1.CheckpointRequest;
import io.sluice.proto.gateway.v1.CreateGroupRequest;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.GroupName;
import io.sluice.proto.gateway.v1.Positions;
import io.sluice.proto.gateway.v1.PositionsList;
import io.sluice.proto.gateway.v1.ResetGroupRequest;
import io.sluice.proto.gateway.v1.SegmentPosition;
import io.sluice.proto.gateway.v1.StreamName;
import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import javax.annotation.Nullable;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.metrics.Counter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Records each completed checkpoint of the job as a checkpoint of the reader group: same number, positions of all segments.
 *
 * <p>Readers report what they put into a checkpoint while they take it, so the reports are there before it completes. Flink's state
 * alone decides about exactness; a mirror that fails is logged and counted ({@code readerGroupCheckpointsFailed}) and never fails the
 * job. When the gateway is slower than checkpoints only the newest is recorded. Coordinator thread, except {@link #send}.
 */
@Internal
final class GroupMirror {
    private static final Logger LOG = LoggerFactory.getLogger(GroupMirror.class);
    private static final Duration CALL_TIMEOUT = Duration.ofSeconds(10);
    /** How long the end of the job waits for its last checkpoint to be mirrored. */
    private static final Duration FLUSH_TIMEOUT = Duration.ofSeconds(5);

    private static final class Snapshot {
        final long checkpointId;
        final Collection<SluiceSplit> positions;

        Snapshot(long checkpointId, Collection<SluiceSplit> positions) {
            this.checkpointId = checkpointId;
            this.positions = positions;
        }
    }

    private final SplitEnumeratorContext<SluiceSplit> context;
    private final SluiceClient client;
    private final GroupName group;
    private final Counter succeeded;
    private final Counter failed;

    /** Every segment at the position of the last completed checkpoint, by split id. */
    private final Map<String, SluiceSplit> positions = new LinkedHashMap<>();
    /** Reports of checkpoints that are not complete, by checkpoint. */
    private final TreeMap<Long, Map<String, Long>> reports = new TreeMap<>();
    /** The newest completed checkpoint that is not recorded yet. */
    private final AtomicReference<Snapshot> unrecorded = new AtomicReference<>();

    private boolean sending;

    GroupMirror(SplitEnumeratorContext<SluiceSplit> context, SluiceClient client, String group) {
        this.context = context;
        this.client = client;
        this.group = GroupNames.parse(group);
        this.succeeded = context.metricGroup().counter("readerGroupCheckpointsSucceeded");
        this.failed = context.metricGroup().counter("readerGroupCheckpointsFailed");
    }

    /** The segments and where they start, for those of which no reader has reported yet. */
    void startAt(List<SluiceSplit> splits) {
        splits.forEach(split -> positions.putIfAbsent(split.splitId(), split));
    }

    void report(PositionsReport report) {
        reports.computeIfAbsent(report.checkpointId(), id -> new HashMap<>()).putAll(report.offsets());
    }

    void completed(long checkpointId) {
        Map<Long, Map<String, Long>> reached = reports.headMap(checkpointId, true);
        reached.values().forEach(offsets -> offsets.forEach(
                (id, offset) -> positions.computeIfPresent(id, (same, split) -> split.at(offset))));
        reached.clear();
        if (positions.isEmpty()) {
            return;
        }
        unrecorded.set(new Snapshot(checkpointId, List.copyOf(positions.values())));
        sendUnlessBusy();
    }

    /** The segment at the last completed checkpoint. */
    SluiceSplit positionOf(SluiceSplit split) {
        return positions.getOrDefault(split.splitId(), split);
    }

    private void sendUnlessBusy() {
        if (!sending) {
            sending = true;
            context.callAsync(() -> send(CALL_TIMEOUT), this::sent);
        }
    }

    private void sent(@Nullable Boolean recorded, @Nullable Throwable failure) {
        sending = false;
        if (failure != null) {
            failed.inc();
            LOG.warn("Positions of a checkpoint could not be mirrored into reader group {}/{}; the job is not affected",
                    group.getScope(), group.getName(), failure);
        } else if (recorded) {
            succeeded.inc();
        }
        if (unrecorded.get() != null) {
            sendUnlessBusy();
        }
    }

    /** Records what is waiting, on the calling thread; answers whether anything was. */
    private boolean send(Duration timeout) throws IOException, InterruptedException {
        Snapshot snapshot = unrecorded.getAndSet(null);
        if (snapshot == null) {
            return false;
        }
        List<Positions> byStream = byStream(snapshot.positions);
        CheckpointRequest.Builder request = CheckpointRequest.newBuilder()
                .setGroup(group)
                .setCheckpoint(snapshot.checkpointId)
                .addAllPositions(byStream);
        try {
            client.call(Rpc.CHECKPOINT, request.setRequest(client.nextRequestId()).build(), timeout);
        } catch (SluiceException e) {
            if (e.reason() == ErrorReason.ALREADY_EXISTS) {
                // A job that was submitted anew counts its checkpoints from 1 again: the group still follows it.
                client.call(Rpc.RESET_GROUP, ResetGroupRequest.newBuilder()
                        .setRequest(client.nextRequestId())
                        .setGroup(group)
                        .setPositions(PositionsList.newBuilder().addAllPositions(byStream))
                        .build(), timeout);
            } else if (e.reason() == ErrorReason.UNKNOWN_READER_GROUP) {
                CreateGroupRequest.Builder create = CreateGroupRequest.newBuilder()
                        .setRequest(client.nextRequestId())
                        .setGroup(group)
                        .addAllPositions(byStream);
                byStream.forEach(stream -> create.addStreams(stream.getStream()));
                client.call(Rpc.CREATE_GROUP, create.build(), timeout);
                client.call(Rpc.CHECKPOINT, request.setRequest(client.nextRequestId()).build(), timeout);
            } else {
                throw e;
            }
        }
        return true;
    }

    private static List<Positions> byStream(Collection<SluiceSplit> splits) {
        Map<StreamName, Positions.Builder> streams = new LinkedHashMap<>();
        for (SluiceSplit split : splits) {
            StreamName name = StreamName.newBuilder().setScope(split.scope()).setName(split.stream()).build();
            streams.computeIfAbsent(name, stream -> Positions.newBuilder().setStream(stream))
                    .addSegments(SegmentPosition.newBuilder().setSegment(split.segment()).setOffset(split.offset()));
        }
        return streams.values().stream().map(Positions.Builder::build).collect(Collectors.toList());
    }

    /** Records the last completed checkpoint now, waiting a little; for the end of the job. */
    void flush() {
        try {
            if (send(FLUSH_TIMEOUT)) {
                succeeded.inc();
            }
        } catch (IOException e) {
            failed.inc();
            LOG.warn("The last positions could not be mirrored into reader group {}/{}", group.getScope(), group.getName(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
