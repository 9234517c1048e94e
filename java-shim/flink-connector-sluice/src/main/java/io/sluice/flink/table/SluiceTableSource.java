package io.sluice.flink.table;

import io.sluice.flink.source.SluiceSource;
import io.sluice.flink.source.SluiceSourceBuilder;
import io.sluice.flink.source.reader.EventMetadata;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import javax.annotation.Nullable;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamSource;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.ProviderContext;
import org.apache.flink.table.connector.source.DataStreamScanProvider;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.abilities.SupportsLimitPushDown;
import org.apache.flink.table.connector.source.abilities.SupportsProjectionPushDown;
import org.apache.flink.table.connector.source.abilities.SupportsReadingMetadata;
import org.apache.flink.table.connector.source.abilities.SupportsWatermarkPushDown;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;

/** {@code SELECT} from a stream. Columns that are not asked for are not sent; watermarks are made per segment. */
final class SluiceTableSource
        implements ScanTableSource,
                SupportsProjectionPushDown,
                SupportsReadingMetadata,
                SupportsLimitPushDown,
                SupportsWatermarkPushDown {
    private final TableTarget target;
    private final ScanOptions options;
    @Nullable private int[] projection;
    private List<EventMetadata> metadata = List.of();
    private long limit = Long.MAX_VALUE;
    private WatermarkStrategy<RowData> watermarks = WatermarkStrategy.noWatermarks();

    SluiceTableSource(TableTarget target, ScanOptions options) {
        this.target = target;
        this.options = options;
    }

    @Override
    public ChangelogMode getChangelogMode() {
        return ChangelogMode.insertOnly();
    }

    @Override
    public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
        target.checkEarly();
        SluiceSource<RowData> source = source();
        String name = "Sluice " + target.stream;
        WatermarkStrategy<RowData> strategy = watermarks;
        return new DataStreamScanProvider() {
            @Override
            public DataStream<RowData> produceDataStream(ProviderContext provider, StreamExecutionEnvironment env) {
                DataStreamSource<RowData> stream = env.fromSource(source, strategy, name);
                provider.generateUid("sluice").ifPresent(stream::uid);
                return stream;
            }

            @Override
            public boolean isBounded() {
                return options.isBounded();
            }

            @Override
            public Optional<Integer> getParallelism() {
                return Optional.ofNullable(options.parallelism);
            }
        };
    }

    private SluiceSource<RowData> source() {
        SluiceSourceBuilder<RowData> builder = SluiceSource.forRowData(target.rowType, projection, metadata)
                .setEndpoint(target.endpoint)
                .setStream(target.stream)
                .setSegmentLimit(limit);
        options.applyTo(builder);
        if (target.autoCreate) {
            builder.setAutoCreate(target.rowType, target.routingKey, target.segments);
        }
        try {
            return builder.build();
        } catch (IllegalArgumentException e) {
            throw new ValidationException("table " + target.table + " cannot be read: " + e.getMessage(), e);
        }
    }

    @Override
    public boolean supportsNestedProjection() {
        return false;
    }

    @Override
    public void applyProjection(int[][] projectedFields, DataType producedDataType) {
        projection = Arrays.stream(projectedFields).mapToInt(path -> path[0]).toArray();
    }

    @Override
    public Map<String, DataType> listReadableMetadata() {
        Map<String, DataType> all = new LinkedHashMap<>();
        for (EventMetadata column : EventMetadata.values()) {
            all.put(column.key(), column.dataType());
        }
        return all;
    }

    @Override
    public void applyReadableMetadata(List<String> keys, DataType producedDataType) {
        metadata = keys.stream().map(EventMetadata::ofKey).collect(Collectors.toCollection(ArrayList::new));
    }

    /** Of each segment no more than the limit is needed; the planner still limits the whole. */
    @Override
    public void applyLimit(long newLimit) {
        limit = newLimit;
    }

    @Override
    public void applyWatermark(WatermarkStrategy<RowData> strategy) {
        watermarks = strategy;
    }

    @Override
    public DynamicTableSource copy() {
        SluiceTableSource copy = new SluiceTableSource(target, options);
        copy.projection = projection == null ? null : projection.clone();
        copy.metadata = metadata;
        copy.limit = limit;
        copy.watermarks = watermarks;
        return copy;
    }

    @Override
    public String asSummaryString() {
        return "Sluice";
    }
}
