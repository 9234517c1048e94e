package io.sluice.flink.source.reader;

import io.sluice.flink.source.split.SluiceSplitState;
import java.io.IOException;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.connector.base.source.reader.RecordEmitter;
import org.apache.flink.metrics.Counter;

/** Decodes and emits the events of a run and moves their split on. Runs on the task's thread. */
@Internal
final class EventEmitter<T> implements RecordEmitter<EventRun<T>, T, SluiceSplitState> {
    /** A run that takes longer is left; the next one goes on behind it. */
    private static final long NANOS_MAX = 1_000_000;
    /** Events between two looks at the clock, after the first few. */
    private static final int EVENTS_PER_LOOK = 8;

    private final Counter recordsIn;

    /** @param recordsIn counts events; Flink itself counts one for each run */
    EventEmitter(Counter recordsIn) {
        this.recordsIn = recordsIn;
    }

    @Override
    public void emitRecord(EventRun<T> run, SourceOutput<T> output, SluiceSplitState split) throws Exception {
        EventDecoder.Rows<T> rows = run.rows();
        long begun = System.nanoTime();
        int emitted = 0;
        try {
            do {
                rows.emit(run.row(), run, output);
                emitted++;
            } while (run.nextRow() && !(looks(emitted) && System.nanoTime() - begun > NANOS_MAX));
        } catch (IOException e) {
            throw new IOException("event " + run.offset() + " of " + run.splitId() + " cannot be deserialized: " + e.getMessage(), e);
        }
        recordsIn.inc(emitted - 1);
        split.advanceTo(run.offset());
        run.markEmitted();
    }

    /** After 1, 2, 4 and 8 events, so that slow ones go alone, then after every 8. */
    private static boolean looks(int emitted) {
        return emitted % EVENTS_PER_LOOK == 0 || Integer.bitCount(emitted) == 1;
    }
}
