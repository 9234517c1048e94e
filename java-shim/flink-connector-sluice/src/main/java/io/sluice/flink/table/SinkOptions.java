package io.sluice.flink.table;

import io.sluice.flink.sink.FreshStart;
import io.sluice.flink.sink.SluiceSinkBuilder;
import javax.annotation.Nullable;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.table.api.ValidationException;

/** The {@code sink.*} options of a table, checked. Immutable. */
final class SinkOptions {
    private final ReadableConfig options;
    @Nullable final Integer parallelism;

    private SinkOptions(ReadableConfig options) {
        this.options = options;
        this.parallelism = options.getOptional(SluiceConnectorOptions.SINK_PARALLELISM).orElse(null);
    }

    static SinkOptions of(ReadableConfig options) {
        boolean exactlyOnce = options.get(SluiceConnectorOptions.SINK_DELIVERY_GUARANTEE) == DeliveryGuarantee.EXACTLY_ONCE;
        if (exactlyOnce && options.getOptional(SluiceConnectorOptions.SINK_ID).isEmpty()) {
            throw new ValidationException("writing to stream '" + options.get(SluiceConnectorOptions.STREAM)
                    + "' exactly once needs option 'sink.id', the durable name of this sink: set it to a name no other job uses and keep it,"
                    + " or set 'sink.delivery-guarantee' = 'at-least-once'");
        }
        if (options.get(SluiceConnectorOptions.SINK_COMMIT_TIMEOUT).toMillis() <= 0) {
            throw new ValidationException("option 'sink.commit-timeout' must be more than 0");
        }
        return new SinkOptions(options);
    }

    <T> void applyTo(SluiceSinkBuilder<T> builder) {
        options.getOptional(SluiceConnectorOptions.SINK_ID).ifPresent(builder::setSinkId);
        builder.setDeliveryGuarantee(options.get(SluiceConnectorOptions.SINK_DELIVERY_GUARANTEE))
                .setCommitTimeout(options.get(SluiceConnectorOptions.SINK_COMMIT_TIMEOUT))
                .setAcceptDuplicates(options.get(SluiceConnectorOptions.SINK_ACCEPT_DUPLICATES))
                .setFreshStart(
                        options.get(SluiceConnectorOptions.SINK_FRESH_START) == SluiceConnectorOptions.FreshStartMode.REFUSE
                                ? FreshStart.REFUSE
                                : FreshStart.ALLOW);
    }
}
