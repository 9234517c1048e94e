package io.sluice.flink.table;

import static io.sluice.flink.table.SluiceConnectorOptions.ENDPOINT;
import static io.sluice.flink.table.SluiceConnectorOptions.ROUTING_KEY_FIELDS;
import static io.sluice.flink.table.SluiceConnectorOptions.SCAN_BOUNDED_MODE;
import static io.sluice.flink.table.SluiceConnectorOptions.SCAN_BOUNDED_POSITIONS;
import static io.sluice.flink.table.SluiceConnectorOptions.SCAN_BOUNDED_TIMESTAMP_MILLIS;
import static io.sluice.flink.table.SluiceConnectorOptions.SCAN_GROUP;
import static io.sluice.flink.table.SluiceConnectorOptions.SCAN_PARALLELISM;
import static io.sluice.flink.table.SluiceConnectorOptions.SCAN_RATE_LIMIT;
import static io.sluice.flink.table.SluiceConnectorOptions.SCAN_READ_MEMORY;
import static io.sluice.flink.table.SluiceConnectorOptions.SCAN_RECONNECT_TIMEOUT;
import static io.sluice.flink.table.SluiceConnectorOptions.SCAN_STARTUP_MODE;
import static io.sluice.flink.table.SluiceConnectorOptions.SCAN_STARTUP_POSITIONS;
import static io.sluice.flink.table.SluiceConnectorOptions.SCAN_STARTUP_TIMESTAMP_MILLIS;
import static io.sluice.flink.table.SluiceConnectorOptions.SINK_ACCEPT_DUPLICATES;
import static io.sluice.flink.table.SluiceConnectorOptions.SINK_COMMIT_TIMEOUT;
import static io.sluice.flink.table.SluiceConnectorOptions.SINK_DELIVERY_GUARANTEE;
import static io.sluice.flink.table.SluiceConnectorOptions.SINK_FRESH_START;
import static io.sluice.flink.table.SluiceConnectorOptions.SINK_ID;
import static io.sluice.flink.table.SluiceConnectorOptions.SINK_PARALLELISM;
import static io.sluice.flink.table.SluiceConnectorOptions.STREAM;
import static io.sluice.flink.table.SluiceConnectorOptions.STREAM_AUTO_CREATE;
import static io.sluice.flink.table.SluiceConnectorOptions.STREAM_SEGMENTS;

import io.sluice.flink.client.Names;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.data.SchemaMapping;
import java.util.Set;
import org.apache.flink.annotation.Internal;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.logical.RowType;

/** Makes tables with {@code 'connector' = 'sluice'}. Checks everything that can be checked without the gateway. */
@Internal
public final class SluiceDynamicTableFactory implements DynamicTableSourceFactory, DynamicTableSinkFactory {
    public static final String IDENTIFIER = "sluice";

    private static final int MAX_SEGMENTS = 1024;

    @Override
    public String factoryIdentifier() {
        return IDENTIFIER;
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(ENDPOINT, STREAM);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of(
                ROUTING_KEY_FIELDS,
                STREAM_AUTO_CREATE,
                STREAM_SEGMENTS,
                SINK_ID,
                SINK_DELIVERY_GUARANTEE,
                SINK_COMMIT_TIMEOUT,
                SINK_ACCEPT_DUPLICATES,
                SINK_FRESH_START,
                SINK_PARALLELISM,
                SCAN_STARTUP_MODE,
                SCAN_STARTUP_TIMESTAMP_MILLIS,
                SCAN_STARTUP_POSITIONS,
                SCAN_BOUNDED_MODE,
                SCAN_BOUNDED_TIMESTAMP_MILLIS,
                SCAN_BOUNDED_POSITIONS,
                SCAN_GROUP,
                SCAN_RATE_LIMIT,
                SCAN_READ_MEMORY,
                SCAN_RECONNECT_TIMEOUT,
                SCAN_PARALLELISM);
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        ReadableConfig options = check(context);
        return new SluiceTableSource(TableTarget.of(context, options), ScanOptions.of(options));
    }

    @Override
    public DynamicTableSink createDynamicTableSink(Context context) {
        ReadableConfig options = check(context);
        return new SluiceTableSink(TableTarget.of(context, options), SinkOptions.of(options));
    }

    /** Checks what scan and sink share; answers the options. */
    private ReadableConfig check(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        helper.validate();
        ReadableConfig options = helper.getOptions();
        try {
            SluiceClient.checkEndpoint(options.get(ENDPOINT));
        } catch (IllegalArgumentException e) {
            throw new ValidationException("option 'endpoint': " + e.getMessage(), e);
        }
        try {
            Names.stream(options.get(STREAM));
        } catch (IllegalArgumentException e) {
            throw new ValidationException("option 'stream': " + e.getMessage(), e);
        }
        int segments = options.get(STREAM_SEGMENTS);
        if (segments < 1 || segments > MAX_SEGMENTS) {
            throw new ValidationException("option 'stream.segments' = '" + segments + "' is out of range: a stream has 1 to "
                    + MAX_SEGMENTS + " segments");
        }
        checkSchema(context, options);
        return options;
    }

    private static void checkSchema(Context context, ReadableConfig options) {
        if (context.getPrimaryKeyIndexes().length > 0) {
            throw new ValidationException("table " + context.getObjectIdentifier().asSummaryString()
                    + " declares a primary key: a stream is append-only and cannot enforce or use one, remove it");
        }
        if (!context.getCatalogTable().getPartitionKeys().isEmpty()) {
            throw new ValidationException("table " + context.getObjectIdentifier().asSummaryString()
                    + " is PARTITIONED BY columns: streams have segments instead, use 'routing-key.fields' and 'stream.segments'");
        }
        RowType rowType = (RowType) context.getPhysicalRowDataType().getLogicalType();
        try {
            SchemaMapping.toProto(rowType);
        } catch (IllegalArgumentException e) {
            throw new ValidationException(e.getMessage(), e);
        }
        for (String field : options.get(ROUTING_KEY_FIELDS)) {
            if (!rowType.getFieldNames().contains(field)) {
                throw new ValidationException("option 'routing-key.fields' names the column '" + field
                        + "', which the table does not have; its columns are " + rowType.getFieldNames());
            }
        }
    }
}
