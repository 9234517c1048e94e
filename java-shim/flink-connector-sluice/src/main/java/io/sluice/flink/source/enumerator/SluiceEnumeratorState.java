package io.sluice.flink.source.enumerator;

import java.util.List;
import java.util.Objects;
import org.apache.flink.annotation.Internal;

/** What the enumerator keeps in a checkpoint: which segments the source reads, from where to where. Immutable. */
@Internal
public final class SluiceEnumeratorState {
    private final boolean resolved;
    private final List<SegmentProgress> segments;

    /**
     * @param resolved whether positions were resolved already; they never are again
     * @param segments every segment of every stream, in order of streams and segments
     */
    public SluiceEnumeratorState(boolean resolved, List<SegmentProgress> segments) {
        this.resolved = resolved;
        this.segments = List.copyOf(segments);
    }

    public boolean resolved() {
        return resolved;
    }

    public List<SegmentProgress> segments() {
        return segments;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof SluiceEnumeratorState
                && resolved == ((SluiceEnumeratorState) other).resolved
                && segments.equals(((SluiceEnumeratorState) other).segments);
    }

    @Override
    public int hashCode() {
        return Objects.hash(resolved, segments);
    }

    @Override
    public String toString() {
        return (resolved ? "resolved " : "not resolved ") + segments;
    }
}
