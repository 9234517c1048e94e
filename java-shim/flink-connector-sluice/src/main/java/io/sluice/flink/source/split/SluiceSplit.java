package io.sluice.flink.source.split;

import java.util.Objects;
import java.util.OptionalLong;
import javax.annotation.Nullable;
import org.apache.flink.annotation.PublicEvolving;
import org.apache.flink.api.connector.source.SourceSplit;

/**
 * A half-open range of events {@code [offset, end)} of one segment: the unit of work of a source reader. Immutable.
 *
 * <p>The stream's number is part of the split, so that a stream that was deleted and created again under its old name is noticed
 * instead of being read from offsets that belong to the old one.
 */
@PublicEvolving
public final class SluiceSplit implements SourceSplit {
    private final String scope;
    private final String stream;
    private final long streamId;
    private final int segment;
    private final long offset;
    @Nullable private final Long end;

    /**
     * @param scope the stream's scope
     * @param stream the stream's name in its scope
     * @param streamId the stream's number
     * @param segment the segment's number in the stream
     * @param offset the next event to read
     * @param end the first event not to be read; null: there is no end
     */
    public SluiceSplit(String scope, String stream, long streamId, int segment, long offset, @Nullable Long end) {
        this.scope = Objects.requireNonNull(scope);
        this.stream = Objects.requireNonNull(stream);
        this.streamId = streamId;
        this.segment = segment;
        this.offset = offset;
        this.end = end;
    }

    /** Unique among the splits of a source, the same over restarts: {@code scope/stream#segment}. */
    @Override
    public String splitId() {
        return scope + '/' + stream + '#' + segment;
    }

    public String scope() {
        return scope;
    }

    public String stream() {
        return stream;
    }

    /** {@code scope/stream}, as users write it. */
    public String qualifiedStream() {
        return scope + '/' + stream;
    }

    public long streamId() {
        return streamId;
    }

    public int segment() {
        return segment;
    }

    /** The next event to read. */
    public long offset() {
        return offset;
    }

    /** The first event not to be read; empty: the split has no end. */
    public OptionalLong end() {
        return end == null ? OptionalLong.empty() : OptionalLong.of(end);
    }

    /** Whether everything of the split is read. */
    public boolean isFinished() {
        return end != null && offset >= end;
    }

    /** The same range, read up to {@code newOffset}. */
    public SluiceSplit at(long newOffset) {
        return new SluiceSplit(scope, stream, streamId, segment, newOffset, end);
    }

    /** The same segment, read to its end at {@code finalOffset}: nothing is left. */
    public SluiceSplit finishedAt(long finalOffset) {
        return new SluiceSplit(scope, stream, streamId, segment, finalOffset, finalOffset);
    }

    @Override
    public boolean equals(Object other) {
        if (!(other instanceof SluiceSplit)) {
            return false;
        }
        SluiceSplit that = (SluiceSplit) other;
        return scope.equals(that.scope)
                && stream.equals(that.stream)
                && streamId == that.streamId
                && segment == that.segment
                && offset == that.offset
                && Objects.equals(end, that.end);
    }

    @Override
    public int hashCode() {
        return Objects.hash(scope, stream, streamId, segment, offset, end);
    }

    @Override
    public String toString() {
        return splitId() + " [" + offset + ", " + (end == null ? "" : end) + ")";
    }
}
