package io.sluice.flink.data;

import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.MapData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.MapType;

/** ARRAY, MAP and ROW. */
final class NestedColumns {

    private NestedColumns() {}

    static final class Arrays extends ColumnWriter {
        private final GrowingBytes offsets = new GrowingBytes();
        private final ColumnWriter items;
        private final ArrayData.ElementGetter getter;

        Arrays(String path, boolean nullable, ArrayType type, ColumnWriter items) {
            super(path, nullable);
            this.items = items;
            this.getter = ArrayData.createElementGetter(type.getElementType());
            offsets.addInt(0);
        }

        @Override
        void value(RowData row, int position) {
            value(row.getArray(position));
        }

        @Override
        void value(Object value) {
            ArrayData array = (ArrayData) value;
            for (int i = 0; i < array.size(); i++) {
                items.writeObject(getter.getElementOrNull(array, i));
            }
            placeholder();
        }

        @Override
        void placeholder() {
            offsets.addInt(items.rows());
        }

        @Override
        int bytes() {
            return offsets.size + items.bytes();
        }

        @Override
        void layOutValues(MessageWriter message) {
            message.addBuffer(offsets.bytes, offsets.size);
            items.layOut(message);
        }

        @Override
        void clearValues() {
            offsets.clear();
            offsets.addInt(0);
            items.clear();
        }
    }

    static final class Maps extends ColumnWriter {
        private final GrowingBytes offsets = new GrowingBytes();
        private final ColumnWriter keys;
        private final ColumnWriter items;
        private final ArrayData.ElementGetter keyGetter;
        private final ArrayData.ElementGetter valueGetter;

        Maps(String path, boolean nullable, MapType type, ColumnWriter keys, ColumnWriter items) {
            super(path, nullable);
            this.keys = keys;
            this.items = items;
            // Keys are stored NOT NULL; the getter must still notice a null, so that the row is refused with a sentence.
            this.keyGetter = ArrayData.createElementGetter(type.getKeyType().copy(true));
            this.valueGetter = ArrayData.createElementGetter(type.getValueType());
            offsets.addInt(0);
        }

        @Override
        void value(RowData row, int position) {
            value(row.getMap(position));
        }

        @Override
        void value(Object value) {
            MapData map = (MapData) value;
            ArrayData mapKeys = map.keyArray();
            ArrayData mapValues = map.valueArray();
            for (int i = 0; i < map.size(); i++) {
                keys.writeObject(keyGetter.getElementOrNull(mapKeys, i));
                items.writeObject(valueGetter.getElementOrNull(mapValues, i));
            }
            placeholder();
        }

        @Override
        void placeholder() {
            offsets.addInt(keys.rows());
        }

        @Override
        int bytes() {
            return offsets.size + keys.bytes() + items.bytes();
        }

        @Override
        void layOutValues(MessageWriter message) {
            message.addBuffer(offsets.bytes, offsets.size);
            // The entries: a struct that is never null.
            message.addNode(keys.rows(), 0);
            message.addBuffer(offsets.bytes, 0);
            keys.layOut(message);
            items.layOut(message);
        }

        @Override
        void clearValues() {
            offsets.clear();
            offsets.addInt(0);
            keys.clear();
            items.clear();
        }
    }

    static final class Rows extends ColumnWriter {
        private final ColumnWriter[] fields;

        Rows(String path, boolean nullable, ColumnWriter[] fields) {
            super(path, nullable);
            this.fields = fields;
        }

        @Override
        void value(RowData row, int position) {
            value(row.getRow(position, fields.length));
        }

        @Override
        void value(Object value) {
            RowData row = (RowData) value;
            for (int i = 0; i < fields.length; i++) {
                fields[i].write(row, i);
            }
        }

        @Override
        void placeholder() {
            for (ColumnWriter field : fields) {
                field.writeUnderNull();
            }
        }

        @Override
        int bytes() {
            int bytes = 0;
            for (ColumnWriter field : fields) {
                bytes += field.bytes();
            }
            return bytes;
        }

        @Override
        void layOutValues(MessageWriter message) {
            for (ColumnWriter field : fields) {
                field.layOut(message);
            }
        }

        @Override
        void clearValues() {
            for (ColumnWriter field : fields) {
                field.clear();
            }
        }
    }
}
