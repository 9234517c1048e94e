package io.sluice.flink.table;

import io.sluice.flink.client.Names;
import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.flink.data.SchemaMapping;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.GetStreamRequest;
import io.sluice.proto.gateway.v1.StreamInfo;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.types.logical.RowType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The stream behind a table. Immutable. */
final class TableTarget {
    private static final Logger LOG = LoggerFactory.getLogger(TableTarget.class);
    private static final Duration EARLY_CHECK_TIMEOUT = Duration.ofSeconds(3);

    final String table;
    final String endpoint;
    final String stream;
    final RowType rowType;
    final List<String> routingKey;
    final boolean autoCreate;
    final int segments;

    private TableTarget(String table, RowType rowType, ReadableConfig options) {
        this.table = table;
        this.rowType = rowType;
        this.endpoint = options.get(SluiceConnectorOptions.ENDPOINT);
        this.stream = options.get(SluiceConnectorOptions.STREAM);
        this.routingKey = List.copyOf(options.get(SluiceConnectorOptions.ROUTING_KEY_FIELDS));
        this.autoCreate = options.get(SluiceConnectorOptions.STREAM_AUTO_CREATE);
        this.segments = options.get(SluiceConnectorOptions.STREAM_SEGMENTS);
    }

    static TableTarget of(DynamicTableFactory.Context context, ReadableConfig options) {
        RowType rowType = (RowType) context.getPhysicalRowDataType().getLogicalType();
        return new TableTarget(context.getObjectIdentifier().asSummaryString(), rowType, options);
    }

    /**
     * Compares the table with its stream while the statement is planned, so that the user sees a difference at once and not in a job's
     * log. A gateway that can't be asked from here is no error: the job checks again when it starts.
     */
    void checkEarly() {
        SluiceClient client = SluiceClient.acquire(endpoint);
        try {
            GetStreamRequest request = GetStreamRequest.newBuilder().setStream(Names.stream(stream)).build();
            StreamInfo info = client.callAsync(Rpc.GET_STREAM, request, EARLY_CHECK_TIMEOUT)
                    .get(EARLY_CHECK_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)
                    .getStream();
            SchemaMapping.mismatch(info.getSchema(), rowType).ifPresent(why -> {
                throw new ValidationException("table " + table + " does not fit stream " + stream + ": " + why);
            });
            if (!routingKey.isEmpty() && !routingKey.equals(info.getRoutingKeyList())) {
                throw new ValidationException("table " + table + " has 'routing-key.fields' " + routingKey + ", stream " + stream
                        + " was created with " + info.getRoutingKeyList() + ": give the same columns or none");
            }
        } catch (ExecutionException e) {
            checkMissing(e.getCause());
        } catch (TimeoutException e) {
            LOG.info("The gateway at {} did not answer while table {} was planned; the job will check the stream", endpoint, table);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            client.close();
        }
    }

    private void checkMissing(Throwable failure) {
        ErrorReason reason = failure instanceof SluiceException ? ((SluiceException) failure).reason() : ErrorReason.UNAVAILABLE;
        boolean missing = reason == ErrorReason.UNKNOWN_STREAM || reason == ErrorReason.UNKNOWN_SCOPE;
        if (missing && !autoCreate) {
            throw new ValidationException("stream " + stream + " of table " + table + " does not exist at the gateway " + endpoint
                    + " and 'stream.auto-create' is 'false': create the stream or set the option to 'true'", failure);
        }
        if (!missing) {
            LOG.info("Stream {} could not be looked at while table {} was planned; the job will check it", stream, table, failure);
        }
    }
}
