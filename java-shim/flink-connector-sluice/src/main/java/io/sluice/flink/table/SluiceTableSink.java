package io.sluice.flink.table;

import io.sluice.flink.sink.SluiceSink;
import io.sluice.flink.sink.SluiceSinkBuilder;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.data.RowData;

/** {@code INSERT INTO} a stream; takes inserts only. */
final class SluiceTableSink implements DynamicTableSink {
    private final TableTarget target;
    private final SinkOptions options;

    SluiceTableSink(TableTarget target, SinkOptions options) {
        this.target = target;
        this.options = options;
    }

    @Override
    public ChangelogMode getChangelogMode(ChangelogMode requested) {
        return ChangelogMode.insertOnly();
    }

    @Override
    public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
        target.checkEarly();
        SluiceSinkBuilder<RowData> builder = SluiceSink.forRowData(target.rowType)
                .setEndpoint(target.endpoint)
                .setStream(target.stream)
                .setAutoCreate(target.autoCreate)
                .setSegments(target.segments)
                .setRoutingKeyFields(target.routingKey);
        options.applyTo(builder);
        try {
            return SinkV2Provider.of(builder.build(), options.parallelism);
        } catch (IllegalArgumentException e) {
            throw new ValidationException("table " + target.table + " can't be written: " + e.getMessage(), e);
        }
    }

    @Override
    public DynamicTableSink copy() {
        return new SluiceTableSink(target, options);
    }

    @Override
    public String asSummaryString() {
        return "Sluice";
    }
}
