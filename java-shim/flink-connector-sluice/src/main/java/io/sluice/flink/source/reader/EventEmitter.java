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
    private final Counter recordsIn;

    /** @param recordsIn counts events; Flink itself counts one for each run */
    EventEmitter(Counter recordsIn) {
        this.recordsIn = recordsIn;
    }

    @Override
    public void emitRecord(EventRun<T> run, SourceOutput<T> output, SluiceSplitState split) throws Exception {
        recordsIn.inc(run.rowsLeft() - 1);
        EventDecoder.Rows<T> rows = run.rows();
        try {
            do {
                rows.emit(run.row(), run, output);
            } while (run.nextRow());
        } catch (IOException e) {
            throw new IOException("event " + run.offset() + " of " + run.splitId() + " cannot be deserialized: " + e.getMessage(), e);
        }
        split.advanceTo(run.endOffset());
        run.markEmitted();
    }
}
