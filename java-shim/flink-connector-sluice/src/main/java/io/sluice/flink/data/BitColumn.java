package io.sluice.flink.data;

/** A growing bitmap, least significant bit first. */
final class BitColumn {

    final GrowingBytes bytes = new GrowingBytes();
    int bits;

    void add(boolean set) {
        int bit = bits++;
        if ((bit & 7) == 0) {
            bytes.addByte((byte) 0);
        }
        if (set) {
            bytes.bytes[bit >> 3] |= (byte) (1 << (bit & 7));
        }
    }

    void addOnes(int count) {
        for (int i = 0; i < count; i++) {
            add(true);
        }
    }

    void clear() {
        bytes.clear();
        bits = 0;
    }
}
