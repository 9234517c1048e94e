package io.sluice.flink.source;

import io.sluice.flink.source.enumerator.SluiceEnumerator;
import io.sluice.flink.source.enumerator.SluiceEnumeratorState;
import io.sluice.flink.source.enumerator.SluiceEnumeratorStateSerializer;
import io.sluice.flink.source.reader.EventMetadata;
import io.sluice.flink.source.reader.RowDataEventDecoder;
import io.sluice.flink.source.reader.SluiceSourceReader;
import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.flink.source.split.SluiceSplitSerializer;
import java.util.List;
import javax.annotation.Nullable;
import org.apache.flink.annotation.Internal;
import org.apache.flink.annotation.PublicEvolving;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

/**
 * Reads committed events of Sluice streams, each exactly once as far as Flink's state reaches: splits (segments) and offsets are part of
 * Flink's checkpoints and nothing else decides where a restored job goes on.
 *
 * <p>Elements carry an event time: the event's own where the stream has one, else the time of the commit that made it visible. A gateway
 * that restarts does not restart the job. Events of one segment come in order; segments are independent of each other.
 *
 * <pre>{@code
 * SluiceSource<String> source = SluiceSource.forBytes(new SimpleStringSchema())
 *         .setEndpoint("localhost:9090")
 *         .setStream("nyc/flights")
 *         .setStartingPositions(StartingPositions.earliest())
 *         .build();
 * DataStream<String> flights = env.fromSource(source, WatermarkStrategy.noWatermarks(), "flights");
 * }</pre>
 */
@PublicEvolving
public final class SluiceSource<T> implements Source<T, SluiceSplit, SluiceEnumeratorState>, ResultTypeQueryable<T> {
    private static final long serialVersionUID = 1L;

    private final SourceSettings<T> settings;

    SluiceSource(SourceSettings<T> settings) {
        this.settings = settings;
    }

    /** For streams with the built-in bytes schema: payloads pass through a deserializer. */
    public static <T> SluiceSourceBuilder<T> forBytes(DeserializationSchema<T> deserializer) {
        return SluiceSourceBuilder.forBytes(deserializer);
    }

    /** For typed streams: rows with all columns. The stream's columns must be those of {@code rowType}. */
    public static SluiceSourceBuilder<RowData> forRowData(RowType rowType) {
        return forRowData(rowType, null);
    }

    /**
     * For typed streams: rows with some of the columns.
     *
     * @param rowType the stream's columns
     * @param projection indices of the columns wanted, in the order wanted; null: all
     */
    public static SluiceSourceBuilder<RowData> forRowData(RowType rowType, @Nullable int[] projection) {
        return forRowData(rowType, projection, List.of());
    }

    /** As {@link #forRowData(RowType, int[])}, with metadata columns behind the others. */
    @Internal
    public static SluiceSourceBuilder<RowData> forRowData(RowType rowType, @Nullable int[] projection, List<EventMetadata> metadata) {
        return SluiceSourceBuilder.forRows(new RowDataEventDecoder(rowType, projection, metadata));
    }

    @Override
    public Boundedness getBoundedness() {
        return settings.stopping().isBounded() ? Boundedness.BOUNDED : Boundedness.CONTINUOUS_UNBOUNDED;
    }

    @Override
    public SplitEnumerator<SluiceSplit, SluiceEnumeratorState> createEnumerator(SplitEnumeratorContext<SluiceSplit> context) {
        return new SluiceEnumerator(context, settings, null);
    }

    @Override
    public SplitEnumerator<SluiceSplit, SluiceEnumeratorState> restoreEnumerator(
            SplitEnumeratorContext<SluiceSplit> context, SluiceEnumeratorState state) {
        return new SluiceEnumerator(context, settings, state);
    }

    @Override
    public SourceReader<T, SluiceSplit> createReader(SourceReaderContext context) throws Exception {
        return SluiceSourceReader.create(settings, context);
    }

    @Override
    public SimpleVersionedSerializer<SluiceSplit> getSplitSerializer() {
        return SluiceSplitSerializer.INSTANCE;
    }

    @Override
    public SimpleVersionedSerializer<SluiceEnumeratorState> getEnumeratorCheckpointSerializer() {
        return SluiceEnumeratorStateSerializer.INSTANCE;
    }

    @Override
    public TypeInformation<T> getProducedType() {
        return settings.decoder().getProducedType();
    }
}
