package io.sluice.flink.data;

import java.util.Arrays;

/** A byte array that grows by doubling and is reused from block to block. Numbers are little endian. */
final class GrowingBytes {

    private static final int FIRST_CAPACITY = 256;
    /** An array above this is given back at {@link #clear}: one large event must not hold memory for ever. */
    private static final int KEPT_CAPACITY = 2 << 20;

    byte[] bytes = new byte[0];
    int size;

    /** Makes room for {@code more} bytes and returns the position they start at; {@link #size} includes them. */
    int extend(int more) {
        int at = size;
        int needed = Math.addExact(at, more);
        if (needed > bytes.length) {
            int doubled = bytes.length > (Integer.MAX_VALUE >> 1) ? needed : bytes.length << 1;
            bytes = Arrays.copyOf(bytes, Math.max(FIRST_CAPACITY, Math.max(needed, doubled)));
        }
        size = needed;
        return at;
    }

    void addByte(byte value) {
        int at = extend(1);
        bytes[at] = value;
    }

    void addShort(short value) {
        int at = extend(2);
        LittleEndian.putShort(bytes, at, value);
    }

    void addInt(int value) {
        int at = extend(4);
        LittleEndian.putInt(bytes, at, value);
    }

    void addLong(long value) {
        int at = extend(8);
        LittleEndian.putLong(bytes, at, value);
    }

    void add(byte[] from, int offset, int length) {
        int at = extend(length);
        System.arraycopy(from, offset, bytes, at, length);
    }

    void addFilled(byte value, int count) {
        int at = extend(count);
        Arrays.fill(bytes, at, at + count, value);
    }

    void clear() {
        size = 0;
        if (bytes.length > KEPT_CAPACITY) {
            bytes = new byte[0];
        }
    }
}
