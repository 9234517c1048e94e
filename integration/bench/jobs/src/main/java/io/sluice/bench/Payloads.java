package io.sluice.bench;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Payloads of one size that no compression makes smaller: pieces of a pool of pseudo-random bytes that is far larger than what any
 * of the systems compresses at once, no two alike. Making each byte anew took longer than most sinks take for it.
 */
final class Payloads implements GeneratorSource.Generator<byte[]> {
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final int POOL_BYTES = 16 << 20;
    private static final byte[] POOL = random(POOL_BYTES);

    private final int size;
    private final Randoms randoms;
    private int from;

    Payloads(int size, int subtask) {
        if (size < Long.BYTES || size > POOL_BYTES / 2) {
            throw new IllegalArgumentException("a payload has 8 to " + POOL_BYTES / 2 + " bytes, not " + size);
        }
        this.size = size;
        this.randoms = new Randoms(subtask);
        this.from = (int) (randoms.next() >>> 40);
    }

    private static byte[] random(int size) {
        Randoms randoms = new Randoms(0);
        byte[] bytes = new byte[size];
        for (int at = 0; at < size; at += Long.BYTES) {
            LONGS.set(bytes, at, randoms.next());
        }
        return bytes;
    }

    @Override
    public byte[] next() {
        if (from > POOL_BYTES - size) {
            // not the same cuts as in the round before
            from = (int) (randoms.next() >>> 33) % size;
        }
        byte[] payload = new byte[size];
        System.arraycopy(POOL, from, payload, 0, size);
        LONGS.set(payload, 0, randoms.next());
        from += size;
        return payload;
    }

    @Override
    public int bytes() {
        return size;
    }
}
