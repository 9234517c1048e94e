package io.sluice.bench;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** Payloads of one size that no compression makes smaller: every byte is pseudo-random, no two are alike. */
final class Payloads implements GeneratorSource.Generator<byte[]> {
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private final int size;
    private final Randoms randoms;

    Payloads(int size, int subtask) {
        if (size < Long.BYTES) {
            throw new IllegalArgumentException("a payload has at least 8 bytes, not " + size);
        }
        this.size = size;
        this.randoms = new Randoms(subtask);
    }

    @Override
    public byte[] next() {
        byte[] payload = new byte[size];
        int at = 0;
        for (; at <= size - Long.BYTES; at += Long.BYTES) {
            LONGS.set(payload, at, randoms.next());
        }
        if (at < size) {
            LONGS.set(payload, size - Long.BYTES, randoms.next());
        }
        return payload;
    }

    @Override
    public int bytes() {
        return size;
    }
}
