package io.sluice.flink.source.enumerator;

import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.source.NonRecoverableSourceException;
import io.sluice.flink.source.SourceSettings;
import io.sluice.flink.source.StoppingPositions;
import io.sluice.flink.source.reader.PositionsReport;
import io.sluice.flink.source.split.SluiceSplit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;
import javax.annotation.Nullable;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SplitsAssignment;
import org.apache.flink.util.FlinkRuntimeException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds the segments once, hands them out evenly and mirrors completed checkpoints into the reader group.
 *
 * <p>All methods run on the source coordinator's thread and return at once; what waits for the gateway runs on the coordinator's worker
 * thread ({@link SplitEnumeratorContext#callAsync}). Positions are resolved once and kept in the state: neither a restart nor a late
 * first event moves "latest", a timestamp or a group's positions.
 */
@Internal
public final class SluiceEnumerator implements SplitEnumerator<SluiceSplit, SluiceEnumeratorState> {
    private static final Logger LOG = LoggerFactory.getLogger(SluiceEnumerator.class);

    private final SplitEnumeratorContext<SluiceSplit> context;
    private final SourceSettings<?> settings;
    private final SluiceClient client;
    private final SegmentDiscovery discovery;
    @Nullable private final GroupMirror mirror;

    private boolean resolved;
    /** By split id, in order of streams and segments. */
    private final Map<String, SegmentProgress> segments = new LinkedHashMap<>();
    /** Splits that wait for their reader, by subtask. */
    private final Map<Integer, List<SluiceSplit>> pending = new HashMap<>();

    /** @param restored the state to go on from; null: a fresh start */
    public SluiceEnumerator(
            SplitEnumeratorContext<SluiceSplit> context, SourceSettings<?> settings, @Nullable SluiceEnumeratorState restored) {
        this.context = context;
        this.settings = settings;
        this.client = SluiceClient.acquire(settings.endpoint());
        this.discovery = new SegmentDiscovery(client, settings);
        this.mirror = settings.group() == null ? null : new GroupMirror(context, client, settings.group());
        if (restored != null) {
            resolved = restored.resolved();
            restored.segments().forEach(segment -> segments.put(segment.split().splitId(), segment));
        }
    }

    @Override
    public void start() {
        context.metricGroup().setUnassignedSplitsGauge(() -> segments.values().stream().filter(segment -> !segment.assigned()).count());
        checkStreams();
        if (mirror != null) {
            mirror.startAt(splits());
        }
        enqueue(segments.values().stream().filter(segment -> !segment.assigned()).map(SegmentProgress::split).collect(Collectors.toList()));
        List<String> known = segments.values().stream().map(segment -> segment.split().qualifiedStream()).collect(Collectors.toList());
        List<String> unknown = new ArrayList<>(settings.streams());
        unknown.removeAll(known);
        if (unknown.isEmpty()) {
            assignToRegistered();
        } else {
            resolved = false;
            context.callAsync(() -> discovery.discover(unknown), this::discovered);
        }
    }

    /** A state that reads streams the job no longer names would go on reading them unasked. */
    private void checkStreams() {
        TreeSet<String> restored = new TreeSet<>();
        segments.values().forEach(segment -> restored.add(segment.split().qualifiedStream()));
        restored.removeAll(settings.streams());
        if (!restored.isEmpty()) {
            throw new NonRecoverableSourceException("the restored state reads " + restored + ", the source is set up for "
                    + settings.streams() + ": start the job without its state, or keep those streams");
        }
    }

    private void discovered(@Nullable List<SluiceSplit> found, @Nullable Throwable failure) {
        if (failure instanceof NonRecoverableSourceException) {
            throw (NonRecoverableSourceException) failure;
        }
        if (failure != null) {
            throw new FlinkRuntimeException("the segments of " + settings.streams() + " could not be found: " + failure.getMessage(), failure);
        }
        LOG.info("Reading {} segments of {}", found.size(), settings.streams());
        resolved = true;
        found.forEach(split -> segments.put(split.splitId(), new SegmentProgress(split, false)));
        if (mirror != null) {
            mirror.startAt(splits());
        }
        enqueue(found);
        assignToRegistered();
    }

    private List<SluiceSplit> splits() {
        return segments.values().stream().map(SegmentProgress::split).collect(Collectors.toList());
    }

    /** Gives each split to the reader whose turn it is: segment i of all to reader i modulo parallelism. */
    private void enqueue(List<SluiceSplit> splits) {
        List<String> order = new ArrayList<>(segments.keySet());
        Map<String, Integer> ordinals = new HashMap<>();
        for (int i = 0; i < order.size(); i++) {
            ordinals.put(order.get(i), i);
        }
        for (SluiceSplit split : splits) {
            int reader = ordinals.get(split.splitId()) % context.currentParallelism();
            pending.computeIfAbsent(reader, subtask -> new ArrayList<>()).add(split);
        }
    }

    private void assignToRegistered() {
        new ArrayList<>(context.registeredReaders().keySet()).forEach(this::assign);
    }

    private void assign(int reader) {
        List<SluiceSplit> splits = pending.remove(reader);
        if (splits != null) {
            context.assignSplits(new SplitsAssignment<>(Map.of(reader, splits)));
            splits.forEach(split -> segments.computeIfPresent(split.splitId(), (id, segment) -> segment.assignedTo(true)));
        }
        if (resolved && settings.stopping().mode() != StoppingPositions.Mode.UNBOUNDED) {
            context.signalNoMoreSplits(reader);
        }
    }

    @Override
    public void addReader(int subtask) {
        assign(subtask);
    }

    @Override
    public void addSplitsBack(List<SluiceSplit> splits, int subtask) {
        splits.forEach(split -> segments.computeIfPresent(split.splitId(), (id, segment) -> segment.assignedTo(false)));
        pending.computeIfAbsent(subtask, reader -> new ArrayList<>()).addAll(splits);
        if (context.registeredReaders().containsKey(subtask)) {
            assign(subtask);
        }
    }

    @Override
    public void handleSplitRequest(int subtask, @Nullable String requesterHostname) {
        // Splits are handed out as soon as a reader is there; readers don't ask.
    }

    @Override
    public void handleSourceEvent(int subtask, SourceEvent event) {
        if (mirror != null && event instanceof PositionsReport) {
            mirror.report((PositionsReport) event);
        }
    }

    @Override
    public SluiceEnumeratorState snapshotState(long checkpointId) {
        return new SluiceEnumeratorState(resolved, new ArrayList<>(segments.values()));
    }

    @Override
    public void notifyCheckpointComplete(long checkpointId) {
        if (mirror != null) {
            mirror.completed(checkpointId);
            // Subtasks that ended report nothing after a restore: where they ended is kept here.
            segments.replaceAll((id, segment) -> segment.assigned() ? segment.at(mirror.positionOf(segment.split())) : segment);
        }
    }

    @Override
    public void close() {
        try {
            if (mirror != null) {
                mirror.flush();
            }
        } finally {
            client.close();
        }
    }
}
