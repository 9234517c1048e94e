/** From elements to blocks: buffers per stream and segment, the exactly-once writer and the plain one. */
package io.sluice.flink.sink.writer;
