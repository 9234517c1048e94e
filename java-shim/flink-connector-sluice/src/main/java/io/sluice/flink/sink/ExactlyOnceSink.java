package io.sluice.flink.sink;

import io.sluice.flink.adapter.ExecutionModes;
import io.sluice.flink.sink.committer.GroupAggregator;
import io.sluice.flink.sink.committer.GroupCommittable;
import io.sluice.flink.sink.committer.GroupCommittableSerializer;
import io.sluice.flink.sink.committer.GroupCommitter;
import io.sluice.flink.sink.committer.Receipt;
import io.sluice.flink.sink.committer.ReceiptSerializer;
import io.sluice.flink.sink.writer.ElementFormat;
import io.sluice.flink.sink.writer.TransactionalWriter;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.api.connector.sink2.CommitterInitContext;
import org.apache.flink.api.connector.sink2.CommittingSinkWriter;
import org.apache.flink.api.connector.sink2.SupportsCommitter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessageTypeInfo;
import org.apache.flink.streaming.api.connector.sink2.SupportsPreCommitTopology;
import org.apache.flink.streaming.api.datastream.DataStream;

import java.io.IOException;

/** {@link SluiceSink} with transactions: writers, one aggregator, committers. */
final class ExactlyOnceSink<T> extends SluiceSink<T>
        implements SupportsCommitter<GroupCommittable>, SupportsPreCommitTopology<Receipt, GroupCommittable> {

    private static final long serialVersionUID = 1L;

    /** Part of the operator's identity in savepoints: never change it. */
    private static final String AGGREGATOR_NAME = "Sluice groups";

    ExactlyOnceSink(SinkSettings settings, ElementFormat<T> format, StreamRouter<T> router, String stream) {
        super(settings, format, router, stream, DeliveryGuarantee.EXACTLY_ONCE);
    }

    @Override
    public CommittingSinkWriter<T, Receipt> createWriter(WriterInitContext context) throws IOException {
        return TransactionalWriter.open(settings, format, router, stream, context);
    }

    @Override
    public DataStream<CommittableMessage<GroupCommittable>> addPreCommitTopology(
            DataStream<CommittableMessage<Receipt>> receipts) {
        GroupAggregator aggregator =
                new GroupAggregator(
                        settings,
                        Math.max(1, receipts.getParallelism()),
                        ExecutionModes.commitsOnlyAtEnd(receipts.getExecutionEnvironment()));
        // No uid here: Flink then demands one of the user's sink, which SQL cannot give. The name identifies the operator.
        return receipts.global()
                .transform(AGGREGATOR_NAME, CommittableMessageTypeInfo.of(this::getCommittableSerializer), aggregator)
                .setParallelism(1)
                .setMaxParallelism(1)
                .global();
    }

    @Override
    public Committer<GroupCommittable> createCommitter(CommitterInitContext context) {
        return GroupCommitter.open(settings.endpoint, settings.timeout, context.getRestoredCheckpointId());
    }

    @Override
    public SimpleVersionedSerializer<GroupCommittable> getCommittableSerializer() {
        return new GroupCommittableSerializer();
    }

    @Override
    public SimpleVersionedSerializer<Receipt> getWriteResultSerializer() {
        return new ReceiptSerializer();
    }
}
