/**
 * From a checkpoint's prepared transactions to one commit: receipts, the aggregator that binds them into a group, and the
 * committer that asks the gateway for the commit. See docs/protocol.md for the rules.
 */
package io.sluice.flink.sink.committer;
