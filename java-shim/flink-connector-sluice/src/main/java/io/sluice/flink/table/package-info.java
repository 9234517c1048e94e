/**
 * Sluice streams as SQL tables: {@code 'connector' = 'sluice'}. {@link io.sluice.flink.table.SluiceConnectorOptions} are the options,
 * {@link io.sluice.flink.table.SluiceDynamicTableFactory} checks them and builds the scan and the sink.
 */
package io.sluice.flink.table;
