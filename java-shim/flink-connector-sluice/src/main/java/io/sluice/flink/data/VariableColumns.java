package io.sluice.flink.data;

import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;

/** Columns of strings and byte strings: offsets and bytes. */
final class VariableColumns {

    private VariableColumns() {}

    abstract static class Variable extends ColumnWriter {
        /** Ends of the values; the first entry, 0, is put in front when the block is laid out. */
        private final GrowingBytes offsets = new GrowingBytes();

        final GrowingBytes values = new GrowingBytes();

        Variable(String path, boolean nullable) {
            super(path, nullable);
            offsets.addInt(0);
        }

        final void end() {
            offsets.addInt(values.size);
        }

        @Override
        void placeholder() {
            end();
        }

        @Override
        int bytes() {
            return offsets.size + values.size;
        }

        @Override
        void layOutValues(MessageWriter message) {
            message.addBuffer(offsets.bytes, offsets.size);
            message.addBuffer(values.bytes, values.size);
        }

        @Override
        void clearValues() {
            offsets.clear();
            offsets.addInt(0);
            values.clear();
        }
    }

    static final class Strings extends Variable {
        private final int length;
        private final boolean pad;

        Strings(String path, boolean nullable, int length, boolean pad) {
            super(path, nullable);
            this.length = length;
            this.pad = pad;
        }

        @Override
        void value(RowData row, int position) {
            value(row.getString(position));
        }

        @Override
        void value(Object value) {
            Values.addString(values, (StringData) value, path, length, pad);
            end();
        }
    }

    static final class Binaries extends Variable {
        private final int length;
        private final boolean pad;

        Binaries(String path, boolean nullable, int length, boolean pad) {
            super(path, nullable);
            this.length = length;
            this.pad = pad;
        }

        @Override
        void value(RowData row, int position) {
            value(row.getBinary(position));
        }

        @Override
        void value(Object value) {
            Values.addBinary(values, (byte[]) value, path, length, pad);
            end();
        }
    }
}
