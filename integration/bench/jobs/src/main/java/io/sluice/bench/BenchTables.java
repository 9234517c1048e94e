package io.sluice.bench;

import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.SourceProvider;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;

/** The connector {@code bench}: a table that generates rows when it is read and counts them when it is written. */
public final class BenchTables implements DynamicTableSourceFactory, DynamicTableSinkFactory {
    private static final ConfigOption<Rows> ROWS = ConfigOptions.key("rows").enumType(Rows.class).noDefaultValue();
    private static final ConfigOption<Integer> SIZE = ConfigOptions.key("size").intType().defaultValue(100);
    private static final ConfigOption<Double> SECONDS = ConfigOptions.key("seconds").doubleType().defaultValue(0.0);
    private static final ConfigOption<Long> RECORDS = ConfigOptions.key("records").longType().defaultValue(Long.MAX_VALUE);

    /** What the rows of a table are. */
    enum Rows {
        /** One column of bytes that do not compress. */
        PAYLOADS("payload BYTES NOT NULL", row -> 1, row -> row.getBinary(0).length),
        /** {@link Bids}. */
        BIDS(Bids.COLUMNS, row -> 1, Bids::size),
        /** How many records there are, and a sum of them; later results of a streaming job take back the earlier ones. */
        SUMS("n BIGINT, total BIGINT", row -> sign(row) * row.getLong(0), row -> 0);

        final String columns;
        final CountingSink.Weight<RowData> records;
        final CountingSink.Weight<RowData> bytes;

        Rows(String columns, CountingSink.Weight<RowData> records, CountingSink.Weight<RowData> bytes) {
            this.columns = columns;
            this.records = records;
            this.bytes = bytes;
        }

        private static int sign(RowData row) {
            switch (row.getRowKind()) {
                case INSERT:
                case UPDATE_AFTER:
                    return 1;
                default:
                    return -1;
            }
        }
    }

    @Override
    public String factoryIdentifier() {
        return "bench";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(ROWS);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of(SIZE, SECONDS, RECORDS);
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        return new Generating(FactoryUtil.createTableFactoryHelper(this, context).getOptions());
    }

    @Override
    public DynamicTableSink createDynamicTableSink(Context context) {
        return new Counting(FactoryUtil.createTableFactoryHelper(this, context).getOptions().get(ROWS));
    }

    private record Generating(ReadableConfig options) implements ScanTableSource {
        @Override
        public ChangelogMode getChangelogMode() {
            return ChangelogMode.insertOnly();
        }

        @Override
        public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
            var limits = new GeneratorSource.Limits(options.get(SECONDS), options.get(RECORDS), 0);
            int size = options.get(SIZE);
            boolean bids = options.get(ROWS) == Rows.BIDS;
            return SourceProvider.of(new GeneratorSource<>(
                    subtask -> bids ? new Bids(subtask) : new PayloadRows(new Payloads(size, subtask)), limits));
        }

        @Override
        public DynamicTableSource copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "generator of " + options.get(ROWS);
        }
    }

    private record PayloadRows(Payloads payloads) implements GeneratorSource.Generator<RowData> {
        @Override
        public RowData next() {
            return GenericRowData.of(payloads.next());
        }

        @Override
        public int bytes() {
            return payloads.bytes();
        }
    }

    private record Counting(Rows rows) implements DynamicTableSink {
        @Override
        public ChangelogMode getChangelogMode(ChangelogMode requested) {
            return ChangelogMode.all();
        }

        @Override
        public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
            return SinkV2Provider.of(new CountingSink<>(rows.records, rows.bytes));
        }

        @Override
        public DynamicTableSink copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "counter of " + rows;
        }
    }
}
