/**
 * Writing to Sluice. {@link io.sluice.flink.sink.SluiceSink} is Flink's Sink V2; {@code writer} turns elements into
 * transactions, {@code committer} turns a checkpoint's transactions into one commit.
 */
package io.sluice.flink.sink;
