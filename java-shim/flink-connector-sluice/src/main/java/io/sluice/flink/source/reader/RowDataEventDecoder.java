package io.sluice.flink.source.reader;

import io.sluice.flink.data.BlockReader;
import io.sluice.flink.data.SchemaMapping;
import io.sluice.proto.gateway.v1.Schema;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;
import javax.annotation.Nullable;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.utils.JoinedRowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.RowType;

/** Rows of a typed stream: the columns wanted, in the order wanted, then metadata columns. Their event time is the commit time. */
@Internal
public final class RowDataEventDecoder implements EventDecoder<RowData> {
    private static final long serialVersionUID = 1L;

    private final RowType rowType;
    @Nullable private final int[] projection;
    private final ArrayList<EventMetadata> metadata;

    /**
     * @param rowType the stream's columns
     * @param projection indices of the columns wanted; null: all
     * @param metadata columns behind those
     */
    public RowDataEventDecoder(RowType rowType, @Nullable int[] projection, List<EventMetadata> metadata) {
        this.rowType = Objects.requireNonNull(rowType);
        this.projection = projection == null ? null : projection.clone();
        this.metadata = new ArrayList<>(metadata);
        if (projection != null) {
            for (int column : projection) {
                if (column < 0 || column >= rowType.getFieldCount()) {
                    throw new IllegalArgumentException("column " + column + " is wanted of a row with columns 0 to "
                            + (rowType.getFieldCount() - 1));
                }
            }
        }
    }

    @Override
    public void open(DeserializationSchema.InitializationContext context) {}

    @Override
    public Optional<String> mismatch(long schemaId, Schema schema) {
        return SchemaMapping.mismatch(schema, rowType);
    }

    @Override
    public int[] columns(Schema schema) {
        if (projection == null) {
            return new int[0];
        }
        int[] wanted = IntStream.of(projection).distinct().sorted().toArray();
        // No column at all (SELECT COUNT(*)) can't be said on the wire, where it means all: the first one stands for it.
        return wanted.length == 0 ? new int[] {0} : wanted;
    }

    @Override
    public Blocks<RowData> forSchema(long schemaId, Schema schema) {
        RowType columns = SchemaMapping.fromProto(schema);
        // A reader of its own for each block: several are open at a time.
        return block -> new TypedRows(new BlockReader(columns, projection).open(block), metadata);
    }

    @Override
    public TypeInformation<RowData> getProducedType() {
        List<RowType.RowField> fields = new ArrayList<>();
        int[] columns = projection == null ? IntStream.range(0, rowType.getFieldCount()).toArray() : projection;
        Arrays.stream(columns).forEach(column -> fields.add(rowType.getFields().get(column)));
        metadata.forEach(column -> fields.add(new RowType.RowField("$" + column.key(), column.dataType().getLogicalType())));
        return InternalTypeInfo.of(new RowType(false, fields));
    }

    private static final class TypedRows implements Rows<RowData> {
        private final BlockReader.Rows rows;
        private final List<EventMetadata> metadata;

        TypedRows(BlockReader.Rows rows, List<EventMetadata> metadata) {
            this.rows = rows;
            this.metadata = metadata;
        }

        @Override
        public int size() {
            return rows.size();
        }

        @Override
        public void emit(int index, EventContext event, SourceOutput<RowData> output) {
            RowData row = rows.row(index);
            output.collect(metadata.isEmpty() ? row : new JoinedRowData(row.getRowKind(), row, metadataOf(event)), event.commitTimeMs());
        }

        private RowData metadataOf(EventContext event) {
            GenericRowData values = new GenericRowData(metadata.size());
            for (int i = 0; i < metadata.size(); i++) {
                values.setField(i, metadata.get(i).of(event));
            }
            return values;
        }
    }
}
