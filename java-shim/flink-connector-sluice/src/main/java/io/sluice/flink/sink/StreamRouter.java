package io.sluice.flink.sink;

import org.apache.flink.annotation.PublicEvolving;

import java.io.Serializable;

/** Chooses an element's stream. Called on the task's thread, once per element. */
@FunctionalInterface
@PublicEvolving
public interface StreamRouter<T> extends Serializable {
    /** The stream as {@code scope/stream}. All streams of a sink have the same schema. */
    String streamOf(T element);
}
