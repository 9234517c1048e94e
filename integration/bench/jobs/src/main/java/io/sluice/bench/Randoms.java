package io.sluice.bench;

/** SplitMix64: fast, and without a lock or an object per number. */
final class Randoms {
    private long state;

    /** A sequence of its own for each subtask and run. */
    Randoms(int subtask) {
        state = System.nanoTime() * 31 + subtask;
    }

    long next() {
        long mixed = state += 0x9E3779B97F4A7C15L;
        mixed = (mixed ^ (mixed >>> 30)) * 0xBF58476D1CE4E5B9L;
        mixed = (mixed ^ (mixed >>> 27)) * 0x94D049BB133111EBL;
        return mixed ^ (mixed >>> 31);
    }
}
