package io.sluice.bench;

import java.time.Duration;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** W1: a generator into an exactly-once sink; measured from the generator's start to the job's end, so with the last commit. */
final class WriteBytes {
    private WriteBytes() {}

    static void run(Arguments arguments) throws Exception {
        int size = (int) arguments.number("size");
        Duration interval = Duration.ofMillis(arguments.number("checkpoint_ms", 1000));
        String stream = arguments.text("stream", "");
        var source = new GeneratorSource<>(subtask -> new Payloads(size, subtask), GeneratorSource.Limits.of(arguments));
        try (LocalFlink flink = LocalFlink.start()) {
            StreamExecutionEnvironment environment = flink.environment(interval);
            environment.fromSource(source, WatermarkStrategy.noWatermarks(), "payloads", Bytes.TYPE)
                    .sinkTo(Peer.of(arguments).sink(stream, stream.replace('/', '-')));
            JobID job = environment.executeAsync("write " + stream).getJobID();
            flink.await(job);
            Progress.untilNow().times("checkpoint", flink.checkpointMillis(job)).print();
        }
    }
}
