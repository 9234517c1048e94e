/**
 * Rows and bytes to Arrow blocks and back, and where a row goes.
 *
 * <p>In reading order: {@link io.sluice.flink.data.SchemaMapping}, {@link io.sluice.flink.data.BlockData}, {@link
 * io.sluice.flink.data.BlockBuilder}, {@link io.sluice.flink.data.BlockReader}, {@link
 * io.sluice.flink.data.RoutingKey}. Nothing here knows gRPC or a stream's state; everything read from a block is
 * checked against the block's length before it is used.
 */
package io.sluice.flink.data;
