package io.sluice.flink.sink;

import org.apache.flink.annotation.PublicEvolving;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

import java.io.IOException;

/** Writes a DataStream to Sluice. Build it with {@link #builder()} or {@link #forRowData}. */
@PublicEvolving
public class SluiceSink<T> implements Sink<T> {

    private static final long serialVersionUID = 1L;

    /** For streams of bytes: elements pass through a serializer. */
    public static <T> SluiceSinkBuilder<T> builder() {
        return new SluiceSinkBuilder<>();
    }

    /** For typed streams: the columns are those of {@code rowType}. */
    public static SluiceSinkBuilder<RowData> forRowData(RowType rowType) {
        return new SluiceSinkBuilder<RowData>().setRowType(rowType);
    }

    @Override
    public SinkWriter<T> createWriter(WriterInitContext context) throws IOException {
        throw new UnsupportedOperationException();
    }
}
