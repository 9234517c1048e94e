package io.sluice.flink.sink;

import org.apache.flink.annotation.PublicEvolving;

import java.io.Serializable;

/** The routing key of an element of a bytes stream. Called on the task's thread, once per element. */
@FunctionalInterface
@PublicEvolving
public interface RoutingKeyExtractor<T> extends Serializable {
    /** The key; null: none. Elements with equal keys keep their order. */
    byte[] keyOf(T element);
}
