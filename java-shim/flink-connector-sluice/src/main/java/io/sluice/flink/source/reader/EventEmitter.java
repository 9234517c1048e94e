package io.sluice.flink.source.reader;

import io.sluice.flink.source.split.SluiceSplitState;
import java.io.IOException;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.connector.base.source.reader.RecordEmitter;

/** Decodes and emits one event and moves its split on. Runs on the task's thread. */
@Internal
final class EventEmitter<T> implements RecordEmitter<EventCursor<T>, T, SluiceSplitState> {
    @Override
    public void emitRecord(EventCursor<T> event, SourceOutput<T> output, SluiceSplitState split) throws Exception {
        try {
            event.rows().emit(event.row(), event, output);
        } catch (IOException e) {
            throw new IOException("event " + event.offset() + " of " + event.splitId() + " cannot be deserialized: " + e.getMessage(), e);
        }
        split.advanceTo(event.offset() + 1);
        event.markEmitted();
    }
}
