package io.sluice.flink.sink.committer;

import io.sluice.flink.adapter.CommittableMessages;
import io.sluice.flink.client.Ids;
import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.sink.SinkSettings;
import io.sluice.proto.gateway.v1.GetSinkRequest;
import io.sluice.proto.gateway.v1.GetSinkResponse;
import org.apache.flink.annotation.Internal;
import org.apache.flink.annotation.VisibleForTesting;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.core.io.SimpleVersionedSerialization;
import org.apache.flink.runtime.io.network.partition.consumer.IndexedInputGate;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.connector.sink2.CommittableSummary;
import org.apache.flink.streaming.api.connector.sink2.CommittableWithLineage;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * Binds the receipts of one checkpoint, of all subtasks and streams, into one group. Parallelism 1.
 *
 * <p>Everything runs on the task's thread. {@code initializeState} takes the sink over. Receipts arrive before the barrier
 * of their checkpoint; {@code prepareSnapshotPreBarrier} emits one group of all receipts that are in none yet, so nothing
 * is pending when state is taken. An emitted group is never emitted again or merged: if its checkpoint is declined, the
 * committer holds it all the same and commits it before the next one. A bounded input's last receipts go out under the
 * checkpoint id that follows the last one seen here: greater than every id used, and at most that of the checkpoint
 * that covers them.
 */
@Internal
public final class GroupAggregator extends AbstractStreamOperator<CommittableMessage<GroupCommittable>>
        implements OneInputStreamOperator<CommittableMessage<Receipt>, CommittableMessage<GroupCommittable>>,
                BoundedOneInput {

    private static final long serialVersionUID = 1L;

    private static final int MEMBERS_MAX = 4096;
    private static final Duration LOOK_TIMEOUT = Duration.ofSeconds(10);

    /** The calls the aggregator makes; a seam for tests. */
    @VisibleForTesting
    interface Gateway extends AutoCloseable {
        /** Takes the sink over; see {@link SinkAttachment#attach}. Null: this run has committed already, nothing is left. */
        Attached attach(Chain restored, int parallelism) throws Exception;

        /** Looks at the sink, without waiting. */
        CompletableFuture<GetSinkResponse> look();

        @Override
        void close();
    }

    /** Opens the gateway; serializable, because the operator travels with the job graph. */
    @VisibleForTesting
    interface GatewayFactory extends java.io.Serializable {
        Gateway open(UUID run);
    }

    /** What an attach gave. */
    static final class Attached {
        final long incarnation;
        final UUID clusterId;
        final Chain chain;

        Attached(long incarnation, UUID clusterId, Chain chain) {
            this.incarnation = incarnation;
            this.clusterId = clusterId;
            this.chain = chain;
        }
    }

    private final SinkSettings settings;
    private final int plannedParallelism;
    private final GatewayFactory gateways;

    private transient Gateway gateway;
    private transient ListState<byte[]> state;
    private transient Chain.Serializer serializer;
    private transient List<Receipt> receipts;
    private transient long announced;
    private transient Attached attached;
    private transient Chain chain;
    private transient long lastCheckpoint;
    private transient CompletableFuture<GetSinkResponse> look;

    /**
     * @param parallelism writer subtasks as planned; at run time the input channels are counted
     * @param commitsOnlyAtEnd whether the job commits once, at its end
     */
    public GroupAggregator(SinkSettings settings, int parallelism, boolean commitsOnlyAtEnd) {
        this(settings, parallelism, run -> open(settings, run, commitsOnlyAtEnd));
    }

    @VisibleForTesting
    GroupAggregator(SinkSettings settings, int parallelism, GatewayFactory gateways) {
        this.settings = settings;
        this.plannedParallelism = parallelism;
        this.gateways = gateways;
    }

    private static Gateway open(SinkSettings settings, UUID run, boolean commitsOnlyAtEnd) {
        SluiceClient client = SluiceClient.acquire(settings.endpoint);
        return new Gateway() {
            @Override
            public Attached attach(Chain restored, int parallelism) throws Exception {
                return SinkAttachment.attach(client, settings, run, restored, parallelism, commitsOnlyAtEnd);
            }

            @Override
            public CompletableFuture<GetSinkResponse> look() {
                GetSinkRequest request = GetSinkRequest.newBuilder().setSink(settings.sink()).build();
                return client.callAsync(Rpc.GET_SINK, request, LOOK_TIMEOUT);
            }

            @Override
            public void close() {
                client.close();
            }
        };
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        serializer = new Chain.Serializer();
        receipts = new ArrayList<>();
        lastCheckpoint = context.getRestoredCheckpointId().orElse(0);
        state =
                context.getOperatorStateStore()
                        .getListState(new ListStateDescriptor<>("sluice-chain", BytePrimitiveArraySerializer.INSTANCE));
        Chain restored = null;
        if (context.isRestored()) {
            for (byte[] bytes : state.get()) {
                restored = SimpleVersionedSerialization.readVersionAndDeSerialize(serializer, bytes);
            }
        }
        gateway = gateways.open(settings.run(getRuntimeContext().getJobInfo()));
        attached = gateway.attach(restored, writerSubtasks());
        chain = attached == null ? null : attached.chain;
    }

    /** Writers may run at another parallelism than planned; each has one channel to this operator. */
    private int writerSubtasks() {
        int channels = 0;
        for (IndexedInputGate gate : getContainingTask().getEnvironment().getAllInputGates()) {
            channels += gate.getNumberOfInputChannels();
        }
        return channels == 0 ? plannedParallelism : channels;
    }

    @Override
    public void processElement(StreamRecord<CommittableMessage<Receipt>> element) {
        CommittableMessage<Receipt> message = element.getValue();
        if (message instanceof CommittableSummary) {
            announced += ((CommittableSummary<Receipt>) message).getNumberOfCommittables();
        } else if (message instanceof CommittableWithLineage) {
            receipts.add(((CommittableWithLineage<Receipt>) message).getCommittable());
        }
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        super.prepareSnapshotPreBarrier(checkpointId);
        takeLook();
        lastCheckpoint = checkpointId;
        emitGroup(checkpointId);
    }

    @Override
    public void endInput() throws Exception {
        takeLook();
        emitGroup(lastCheckpoint + 1);
    }

    private void emitGroup(long checkpointId) {
        if (receipts.size() != announced) {
            throw new IllegalStateException(
                    "the writers announced " + announced + " transactions before checkpoint " + checkpointId + ", "
                            + receipts.size() + " arrived");
        }
        announced = 0;
        if (receipts.isEmpty()) {
            return;
        }
        if (attached == null) {
            // They stay prepared: only a later commit of their slot or an operator ends a prepared transaction.
            LOG.warn(
                    "sink {}/{}: {} transactions hold what this restart of a batch job wrote again, and are not committed because"
                            + " the job has committed already; the next run of the sink supersedes them",
                    settings.sinkScope,
                    settings.sinkName,
                    receipts.size());
            receipts.clear();
            return;
        }
        if (receipts.size() > MEMBERS_MAX) {
            throw new IllegalStateException(
                    "checkpoint " + checkpointId + " has " + receipts.size() + " transactions, at most " + MEMBERS_MAX
                            + " fit one commit; lower the sink's parallelism");
        }
        // Stable: several transactions of one subtask stay in the order they were written.
        receipts.sort(Comparator.comparingInt(receipt -> receipt.subtask));
        List<UUID> members = new ArrayList<>(receipts.size());
        receipts.forEach(receipt -> members.add(receipt.txnId));
        receipts.clear();

        Group group = new Group(UUID.randomUUID(), checkpointId, chain.last(), members, attached.incarnation);
        chain = chain.with(group);
        GroupCommittable committable =
                new GroupCommittable(attached.clusterId, chain.timelineId, settings.sinkScope, settings.sinkName, group);
        output.collect(new StreamRecord<>(CommittableMessages.summary(checkpointId, 1)));
        output.collect(new StreamRecord<>(CommittableMessages.committable(committable, checkpointId)));
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        state.clear();
        if (chain != null) {
            state.add(SimpleVersionedSerialization.writeVersionAndSerialize(serializer, chain));
        }
    }

    @Override
    public void notifyCheckpointComplete(long checkpointId) throws Exception {
        super.notifyCheckpointComplete(checkpointId);
        takeLook();
        if (look == null && chain != null && !chain.emitted.isEmpty()) {
            look = gateway.look();
        }
    }

    /** Moves the chain's base if a look has been answered. One look at a time, so that answers come in order. */
    private void takeLook() throws SinkFencedException {
        if (look == null || !look.isDone()) {
            return;
        }
        GetSinkResponse seen;
        try {
            seen = look.join();
        } catch (CompletionException e) {
            LOG.debug("the sink could not be looked at; the next checkpoint tries again", e);
            return;
        } finally {
            look = null;
        }
        long current = seen.getSink().getIncarnation();
        if (current != attached.incarnation) {
            throw new SinkFencedException(
                    "another job or attempt has taken sink " + settings.sinkScope + "/" + settings.sinkName
                            + " over (incarnation " + current + ", this one has " + attached.incarnation + ")",
                    null);
        }
        UUID head = Ids.uuid(seen.getSink().getHeadGroup());
        Chain confirmed = chain.confirmed(head);
        if (confirmed == null) {
            throw new SinkFencedException(
                    "the gateway's last commit of sink " + settings.sinkScope + "/" + settings.sinkName + " is group " + head
                            + ", which this job's state does not know: somebody else commits to the sink",
                    null);
        }
        chain = confirmed;
    }

    @Override
    public void close() throws Exception {
        if (gateway != null) {
            gateway.close();
            gateway = null;
        }
        super.close();
    }
}
