package io.sluice.bench;

import java.time.Duration;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** W2: everything committed to a stream, counted; measured from the start of the job's tasks to the last record. */
final class ReadBytes {
    private ReadBytes() {}

    static void run(Arguments arguments) throws Exception {
        String stream = arguments.text("stream");
        try (LocalFlink flink = LocalFlink.start()) {
            StreamExecutionEnvironment environment = flink.environment(Duration.ofSeconds(1));
            environment.fromSource(
                            Peer.of(arguments).source(stream, true), WatermarkStrategy.noWatermarks(), stream, Bytes.TYPE)
                    .sinkTo(new CountingSink<>(payload -> 1, payload -> payload.length));
            JobID job = environment.executeAsync("read " + stream).getJobID();
            flink.await(job);
            Progress.untilEnd().times("checkpoint", flink.checkpointMillis(job)).print();
        }
    }
}
