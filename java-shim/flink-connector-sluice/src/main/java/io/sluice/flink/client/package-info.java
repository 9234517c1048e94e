/**
 * The gateway as Java sees it: shared connections, typed errors, retries, and the two long calls (append, read).
 *
 * <p>The only package that knows gRPC. In reading order: {@link io.sluice.flink.client.SluiceClient}, {@link
 * io.sluice.flink.client.Rpc}, {@link io.sluice.flink.client.SluiceException}, {@link
 * io.sluice.flink.client.ReadStream}, {@link io.sluice.flink.client.TransactionStream}, {@link
 * io.sluice.flink.client.EventStream}.
 */
package io.sluice.flink.client;
