/**
 * Reading from Sluice as Flink's source (FLIP-27).
 *
 * <p>{@link io.sluice.flink.source.SluiceSource} is what users build. {@code split} is the unit of work and its state, {@code enumerator}
 * finds segments, resolves positions once and mirrors checkpoints into a reader group, {@code reader} reads all splits of a subtask over
 * one call. Nothing here knows gRPC; that is the client package.
 */
package io.sluice.flink.source;
