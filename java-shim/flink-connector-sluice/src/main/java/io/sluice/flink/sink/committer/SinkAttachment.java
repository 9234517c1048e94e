package io.sluice.flink.sink.committer;

import io.sluice.flink.client.Ids;
import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.flink.sink.FreshStart;
import io.sluice.flink.sink.Scopes;
import io.sluice.flink.sink.SinkSettings;
import io.sluice.proto.gateway.v1.AttachSinkRequest;
import io.sluice.proto.gateway.v1.AttachSinkResponse;
import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.GetSinkRequest;
import io.sluice.proto.gateway.v1.JobMode;
import io.sluice.proto.gateway.v1.TransactionInfo;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/** How the aggregator takes a sink over after a (re)start. */
final class SinkAttachment {

    private static final Logger LOG = LoggerFactory.getLogger(SinkAttachment.class);

    private SinkAttachment() {}

    /**
     * Attaches. Reads the sink first, so that a dead attempt's late attach revives nothing; if somebody attached in
     * between, reads again.
     *
     * @param run see {@link SinkSettings#run}
     * @param restored the chain of a checkpoint or savepoint; null: the job starts without state
     * @return null if this very run has committed already and nothing is left to do
     */
    static GroupAggregator.Attached attach(
            SluiceClient client, SinkSettings settings, UUID run, Chain restored, int parallelism, boolean commitsOnlyAtEnd)
            throws IOException, InterruptedException {
        Scopes.ensure(client, settings, settings.sinkScope);
        long deadline = System.nanoTime() + settings.timeout.toNanos();
        while (true) {
            GetSinkRequest get = GetSinkRequest.newBuilder().setSink(settings.sink()).build();
            long seen = client.call(Rpc.GET_SINK, get, settings.timeout).getSink().getIncarnation();
            AttachSinkRequest request = request(client, settings, run, restored, parallelism, commitsOnlyAtEnd, seen);
            try {
                return attached(settings, client.call(Rpc.ATTACH_SINK, request, settings.timeout));
            } catch (SluiceException e) {
                if (e.reason() == ErrorReason.ATTACH_RACE && System.nanoTime() < deadline) {
                    continue;
                }
                if (e.reason() == ErrorReason.COMMITTED_BY_THIS_RUN) {
                    LOG.info("{}", e.getMessage());
                    return null;
                }
                if (e.retriable() || e.errorClass() == ErrorClass.INTERNAL || e.reason() == ErrorReason.ATTACH_RACE) {
                    throw e;
                }
                if (e.errorClass() == ErrorClass.FENCED) {
                    throw new SinkFencedException(e.getMessage(), e);
                }
                throw new SinkRefusedException(e.getMessage(), e);
            }
        }
    }

    private static AttachSinkRequest request(
            SluiceClient client,
            SinkSettings settings,
            UUID run,
            Chain restored,
            int parallelism,
            boolean commitsOnlyAtEnd,
            long incarnationRead) {
        AttachSinkRequest.Builder request =
                AttachSinkRequest.newBuilder()
                        .setRequest(client.nextRequestId())
                        .setSink(settings.sink())
                        .setRunNonce(Ids.bytes(run))
                        .setParallelism(parallelism)
                        .setIncarnationRead(incarnationRead)
                        .setMode(commitsOnlyAtEnd ? JobMode.BATCH : JobMode.STREAMING)
                        .setAcceptDuplicates(settings.acceptDuplicates)
                        .setRefuseFreshStart(settings.freshStart == FreshStart.REFUSE);
        if (restored != null) {
            request.setRestored(true).setTimelineId(Ids.bytes(restored.timelineId));
            if (restored.base != null) {
                request.setBase(Ids.bytes(restored.base));
            }
            restored.emitted.forEach(group -> request.addEmitted(group.toProto()));
        }
        return request.build();
    }

    private static GroupAggregator.Attached attached(SinkSettings settings, AttachSinkResponse answer) {
        List<Group> pending = new ArrayList<>();
        answer.getPendingList().forEach(group -> pending.add(Group.fromProto(group)));
        Chain chain = new Chain(Ids.uuid(answer.getTimelineId()), Ids.uuid(answer.getBase()), pending);
        LOG.info(
                "attached to sink {}/{} as incarnation {}, head {}, {} groups to be committed",
                settings.sinkScope,
                settings.sinkName,
                answer.getIncarnation(),
                Ids.uuid(answer.getHeadGroup()),
                pending.size());
        for (TransactionInfo leftover : answer.getLeftoversList()) {
            LOG.warn(
                    "transaction {} ({} events) was prepared by an earlier run of sink {}/{} and is in no checkpoint known"
                            + " here; it blocks nobody, and the next commit of subtask {} supersedes it",
                    Ids.uuid(leftover.getTxnId()),
                    leftover.getEvents(),
                    settings.sinkScope,
                    settings.sinkName,
                    leftover.getSubtask());
        }
        return new GroupAggregator.Attached(answer.getIncarnation(), Ids.uuid(answer.getClusterId()), chain);
    }
}
