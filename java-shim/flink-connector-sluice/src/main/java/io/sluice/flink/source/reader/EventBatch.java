package io.sluice.flink.source.reader;

import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import javax.annotation.Nullable;
import org.apache.flink.annotation.Internal;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;

/** What one fetch brings: slices of blocks, and the splits that are read to their end. Walked by the task's thread. */
@Internal
final class EventBatch<T> implements RecordsWithSplitIds<EventRun<T>> {
    private final List<BlockSlice<T>> slices;
    private final Set<String> finished;
    private final Consumer<BlockSlice<T>> emitted;
    private final EventRun<T> run = new EventRun<>();
    private int current = -1;

    /**
     * @param slices what to emit, in order
     * @param finished splits that end with this batch
     * @param emitted told about each slice after its last row, in order; never about one that was not emitted wholly
     */
    EventBatch(List<BlockSlice<T>> slices, Set<String> finished, Consumer<BlockSlice<T>> emitted) {
        this.slices = slices;
        this.finished = finished;
        this.emitted = emitted;
    }

    boolean isEmpty() {
        return slices.isEmpty() && finished.isEmpty();
    }

    @Nullable
    @Override
    public String nextSplit() {
        if (current >= 0 && current < slices.size()) {
            emitted.accept(slices.get(current));
        }
        current++;
        if (current >= slices.size()) {
            return null;
        }
        run.enter(slices.get(current));
        return slices.get(current).splitId();
    }

    @Nullable
    @Override
    public EventRun<T> nextRecordFromSplit() {
        return run.nextRun() ? run : null;
    }

    @Override
    public Set<String> finishedSplits() {
        return finished;
    }
}
