package io.sluice.flink.sink;

import io.sluice.flink.sink.writer.ElementFormat;
import io.sluice.flink.sink.writer.PlainWriter;
import org.apache.flink.annotation.PublicEvolving;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

import java.io.IOException;

/**
 * Writes a DataStream to Sluice. Build it with {@link #builder()} or {@link #forRowData}.
 *
 * <p>EXACTLY_ONCE makes every checkpoint one atomic commit over all subtasks and streams. Nothing is visible before its
 * checkpoint completes, and nothing prepared is lost while the job is down, however long.
 */
@PublicEvolving
public class SluiceSink<T> implements Sink<T> {

    private static final long serialVersionUID = 1L;

    final SinkSettings settings;
    final ElementFormat<T> format;
    final StreamRouter<T> router;
    /** The one stream, checked when the job starts; null if a router chooses. */
    final String stream;

    private final DeliveryGuarantee guarantee;

    SluiceSink(
            SinkSettings settings,
            ElementFormat<T> format,
            StreamRouter<T> router,
            String stream,
            DeliveryGuarantee guarantee) {
        this.settings = settings;
        this.format = format;
        this.router = router;
        this.stream = stream;
        this.guarantee = guarantee;
    }

    /** For streams of bytes: elements pass through a serializer. */
    public static <T> SluiceSinkBuilder<T> builder() {
        return new SluiceSinkBuilder<>();
    }

    /** For typed streams: the columns are those of {@code rowType}. */
    public static SluiceSinkBuilder<RowData> forRowData(RowType rowType) {
        return new SluiceSinkBuilder<RowData>().setFormat(ElementFormat.rows(rowType));
    }

    @Override
    public SinkWriter<T> createWriter(WriterInitContext context) throws IOException {
        boolean waitAtCheckpoints = guarantee != DeliveryGuarantee.NONE;
        return PlainWriter.open(settings, format, router, stream, waitAtCheckpoints, context);
    }
}
