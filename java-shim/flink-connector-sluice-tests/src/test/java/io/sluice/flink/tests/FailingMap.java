package io.sluice.flink.tests;

import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.ToLongFunction;
import java.io.Serializable;
import java.util.stream.Collectors;
import org.apache.flink.api.common.functions.MapFunction;

/** Passes elements through and throws at given ones, each once in a JVM, however often the job restarts. */
final class FailingMap<T> implements MapFunction<T, T> {
    private static final long serialVersionUID = 1L;
    private static final Map<String, Set<Long>> TO_FAIL = new ConcurrentHashMap<>();

    /** A number of an element, serializable. */
    interface Number<T> extends ToLongFunction<T>, Serializable {}

    private final String test;
    private final Number<T> number;

    FailingMap(String test, Number<T> number, long... failAt) {
        this.test = test;
        this.number = number;
        TO_FAIL.put(test, ConcurrentHashMap.newKeySet());
        TO_FAIL.get(test).addAll(Arrays.stream(failAt).boxed().collect(Collectors.toSet()));
    }

    /** Failures that have not happened. */
    static int left(String test) {
        return TO_FAIL.get(test).size();
    }

    @Override
    public T map(T element) throws Exception {
        long value = number.applyAsLong(element);
        if (TO_FAIL.get(test).remove(value)) {
            throw new IllegalStateException("failing on purpose at " + value);
        }
        return element;
    }
}
