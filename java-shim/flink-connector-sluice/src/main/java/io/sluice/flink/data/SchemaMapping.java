package io.sluice.flink.data;

import io.sluice.proto.gateway.v1.Schema;
import org.apache.flink.annotation.Internal;
import org.apache.flink.table.types.logical.RowType;

import java.util.Optional;

/** Flink's logical types as Sluice's schema and back. */
@Internal
public final class SchemaMapping {

    /** Id of the built-in schema {@code {key?, value, event_time?, headers?}}. */
    public static final long BYTES_SCHEMA_ID = 1;

    private SchemaMapping() {}

    /**
     * The schema for a row type.
     *
     * @throws IllegalArgumentException naming column and type, for a type Sluice does not store or a reserved name
     */
    public static Schema toProto(RowType rowType) {
        throw new UnsupportedOperationException();
    }

    /** The row type of a schema. */
    public static RowType fromProto(Schema schema) {
        throw new UnsupportedOperationException();
    }

    /**
     * Why rows of {@code table} can't be written to or read from a stream of {@code stream}, as one sentence; empty: they
     * can. Columns are compared by name, order, type and nullability; nothing is converted.
     */
    public static Optional<String> mismatch(Schema stream, RowType table) {
        throw new UnsupportedOperationException();
    }
}
