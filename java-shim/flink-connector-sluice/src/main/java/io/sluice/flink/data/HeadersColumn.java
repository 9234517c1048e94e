package io.sluice.flink.data;

import org.apache.flink.table.data.RowData;

import java.nio.charset.StandardCharsets;
import java.util.Map;

/** {@code headers} of the bytes schema: MAP of VARCHAR to VARBINARY, from a Java map. */
final class HeadersColumn extends ColumnWriter {

    private final GrowingBytes offsets = new GrowingBytes();
    private final VariableColumns.Binaries names;
    private final VariableColumns.Binaries values;

    HeadersColumn(String path) {
        super(path, true);
        this.names = new VariableColumns.Binaries(path + ".key", false, Integer.MAX_VALUE, false);
        this.values = new VariableColumns.Binaries(path + ".value", true, Integer.MAX_VALUE, false);
        offsets.addInt(0);
    }

    @Override
    void value(RowData row, int position) {
        throw new IllegalStateException("headers come from a Java map");
    }

    @Override
    void value(Object value) {
        for (Map.Entry<?, ?> header : ((Map<?, ?>) value).entrySet()) {
            names.writeObject(((String) header.getKey()).getBytes(StandardCharsets.UTF_8));
            values.writeObject(header.getValue());
        }
        placeholder();
    }

    @Override
    void placeholder() {
        offsets.addInt(names.rows());
    }

    @Override
    int bytes() {
        return offsets.size + names.bytes() + values.bytes();
    }

    @Override
    void layOutValues(MessageWriter message) {
        message.addBuffer(offsets.bytes, offsets.size);
        message.addNode(names.rows(), 0);
        message.addBuffer(offsets.bytes, 0);
        names.layOut(message);
        values.layOut(message);
    }

    @Override
    void clearValues() {
        offsets.clear();
        offsets.addInt(0);
        names.clear();
        values.clear();
    }
}
