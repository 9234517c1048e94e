package io.sluice.flink.source.enumerator;

import com.google.protobuf.Message;
import io.sluice.flink.client.Names;
import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.flink.client.Streams;
import io.sluice.flink.data.SchemaMapping;
import io.sluice.flink.source.GroupNames;
import io.sluice.flink.source.NonRecoverableSourceException;
import io.sluice.flink.source.SourceSettings;
import io.sluice.flink.source.StartingPositions;
import io.sluice.flink.source.StoppingPositions;
import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.proto.gateway.v1.CreateGroupRequest;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.GetGroupRequest;
import io.sluice.proto.gateway.v1.GetPositionsRequest;
import io.sluice.proto.gateway.v1.GroupInfo;
import io.sluice.proto.gateway.v1.Positions;
import io.sluice.proto.gateway.v1.SegmentInfo;
import io.sluice.proto.gateway.v1.SegmentPosition;
import io.sluice.proto.gateway.v1.StreamConfig;
import io.sluice.proto.gateway.v1.StreamInfo;
import io.sluice.proto.gateway.v1.StreamName;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.annotation.Internal;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds the segments of streams and where to read them from and to. Blocks, so it runs on the coordinator's worker thread, never on the
 * coordinator's own.
 */
@Internal
final class SegmentDiscovery {
    private static final Logger LOG = LoggerFactory.getLogger(SegmentDiscovery.class);

    private final SluiceClient client;
    private final SourceSettings<?> settings;

    SegmentDiscovery(SluiceClient client, SourceSettings<?> settings) {
        this.client = client;
        this.settings = settings;
    }

    /** The splits of streams, in order of streams and segments, with their positions resolved now. */
    List<SluiceSplit> discover(List<String> streams) throws IOException, InterruptedException {
        Map<String, StreamInfo> infos = new HashMap<>();
        for (String stream : streams) {
            StreamInfo info = describeOrCreate(Names.stream(stream));
            settings.decoder().mismatch(info.getSchemaId(), info.getSchema()).ifPresent(why -> {
                throw new NonRecoverableSourceException("stream " + stream + " cannot be read: " + why);
            });
            infos.put(stream, info);
        }
        Map<String, Map<Integer, Long>> starts = starts(streams, infos);
        List<SluiceSplit> splits = new ArrayList<>();
        for (String stream : streams) {
            StreamInfo info = infos.get(stream);
            Map<Integer, Long> ends = limited(ends(stream, info), starts.get(stream));
            for (SegmentInfo segment : info.getSegmentsList()) {
                splits.add(new SluiceSplit(
                        info.getStream().getScope(),
                        info.getStream().getName(),
                        info.getStreamId(),
                        segment.getSegment(),
                        starts.get(stream).get(segment.getSegment()),
                        ends.get(segment.getSegment())));
            }
        }
        createGroup(streams, starts);
        return splits;
    }

    private StreamInfo describeOrCreate(StreamName name) throws IOException, InterruptedException {
        SourceSettings.NewStream template = settings.newStream();
        try {
            return Streams.getOrCreate(client, name, template == null ? null : () -> config(name, template), settings.reconnectTimeout());
        } catch (SluiceException e) {
            if (template == null && Streams.isMissing(e)) {
                throw new NonRecoverableSourceException("stream " + Names.format(name) + " does not exist at the gateway "
                        + client.endpoint() + ": create it first, for example with `sluice stream create " + Names.format(name) + "`", e);
            }
            throw e;
        }
    }

    private static StreamConfig config(StreamName name, SourceSettings.NewStream template) {
        LOG.info("Creating stream {} with {} segments", Names.format(name), template.segments());
        return StreamConfig.newBuilder()
                .setSegments(template.segments())
                .setSchema(SchemaMapping.toProto(template.rowType()))
                .addAllRoutingKey(template.routingKey())
                .build();
    }

    private Map<String, Map<Integer, Long>> starts(List<String> streams, Map<String, StreamInfo> infos)
            throws IOException, InterruptedException {
        Map<String, Map<Integer, Long>> starts = new HashMap<>();
        Map<String, Map<Integer, Long>> stored = new HashMap<>();
        switch (settings.starting().mode()) {
            case TIMESTAMP:
                for (String stream : streams) {
                    stored.put(stream, atTimestamp(stream, settings.starting().timestampMs()));
                }
                break;
            case POSITIONS:
                stored.putAll(settings.starting().positions());
                break;
            case GROUP:
                stored.putAll(groupPositions(streams));
                break;
            default:
                break;
        }
        boolean latest = settings.starting().mode() == StartingPositions.Mode.LATEST;
        for (String stream : streams) {
            Map<Integer, Long> offsets = new HashMap<>();
            Map<Integer, Long> given = stored.getOrDefault(stream, Map.of());
            checkSegments(stream, given, infos.get(stream));
            for (SegmentInfo segment : infos.get(stream).getSegmentsList()) {
                long otherwise = latest ? segment.getNextOffset() : segment.getHead();
                offsets.put(segment.getSegment(), given.getOrDefault(segment.getSegment(), otherwise));
            }
            starts.put(stream, offsets);
        }
        return starts;
    }

    /** First events not to read, for the segments that have an end. */
    private Map<Integer, Long> ends(String stream, StreamInfo info) throws IOException, InterruptedException {
        StoppingPositions stopping = settings.stopping();
        Map<Integer, Long> ends = new HashMap<>();
        switch (stopping.mode()) {
            case UNBOUNDED:
                break;
            case LATEST:
                info.getSegmentsList().forEach(segment -> ends.put(segment.getSegment(), segment.getNextOffset()));
                break;
            case TIMESTAMP:
                ends.putAll(atTimestamp(stream, stopping.timestampMs()));
                break;
            case POSITIONS:
                Map<Integer, Long> given = stopping.positions().get(stream);
                checkSegments(stream, given == null ? Map.of() : given, info);
                if (given == null || given.size() < info.getSegmentsCount()) {
                    throw new NonRecoverableSourceException("stopping positions name " + (given == null ? 0 : given.size()) + " of the "
                            + info.getSegmentsCount() + " segments of stream " + stream + ": name all of them");
                }
                ends.putAll(given);
                break;
            default:
                throw new IllegalStateException("stopping mode " + stopping.mode());
        }
        return ends;
    }

    private Map<Integer, Long> limited(Map<Integer, Long> ends, Map<Integer, Long> starts) {
        ends.replaceAll((segment, end) -> Math.min(end, starts.get(segment) + Math.min(settings.segmentLimit(), Long.MAX_VALUE - starts.get(segment))));
        return ends;
    }

    private static void checkSegments(String stream, Map<Integer, Long> given, StreamInfo info) {
        for (int segment : given.keySet()) {
            if (info.getSegmentsList().stream().noneMatch(known -> known.getSegment() == segment)) {
                throw new NonRecoverableSourceException("a position is given for segment " + segment + " of stream " + stream
                        + ", which has segments 0 to " + (info.getSegmentsCount() - 1));
            }
        }
    }

    private Map<Integer, Long> atTimestamp(String stream, long timestampMs) throws IOException, InterruptedException {
        GetPositionsRequest request = GetPositionsRequest.newBuilder()
                .setStream(Names.stream(stream))
                .setTimestampMs(Math.max(0, timestampMs))
                .build();
        return offsets(call(Rpc.GET_POSITIONS, request).getPositions());
    }

    /** Positions of the reader group, which is made at the earliest events if there is none. */
    private Map<String, Map<Integer, Long>> groupPositions(List<String> streams) throws IOException, InterruptedException {
        GroupInfo group;
        try {
            group = call(Rpc.GET_GROUP, GetGroupRequest.newBuilder().setGroup(GroupNames.parse(settings.group())).build()).getGroup();
        } catch (SluiceException e) {
            if (e.reason() != ErrorReason.UNKNOWN_READER_GROUP) {
                throw e;
            }
            LOG.info("Reader group {} does not exist: reading from the earliest events", settings.group());
            return Map.of();
        }
        Map<String, Map<Integer, Long>> positions = new HashMap<>();
        group.getPositionsList().forEach(stream -> positions.put(Names.format(stream.getStream()), offsets(stream)));
        for (String stream : streams) {
            if (!positions.containsKey(stream)) {
                throw new NonRecoverableSourceException("reader group " + settings.group() + " has no positions of stream " + stream
                        + " (it reads " + positions.keySet() + "): take another group or another start");
            }
        }
        return positions;
    }

    /** Makes the group that will mirror positions, where the source starts; one that exists stays as it is until a checkpoint. */
    private void createGroup(List<String> streams, Map<String, Map<Integer, Long>> starts) throws IOException, InterruptedException {
        if (settings.group() == null) {
            return;
        }
        CreateGroupRequest.Builder request = CreateGroupRequest.newBuilder()
                .setRequest(client.nextRequestId())
                .setGroup(GroupNames.parse(settings.group()));
        for (String stream : streams) {
            request.addStreams(Names.stream(stream));
            Positions.Builder positions = Positions.newBuilder().setStream(Names.stream(stream));
            starts.get(stream).entrySet().stream().sorted(Map.Entry.comparingByKey()).forEach(start -> positions.addSegments(
                    SegmentPosition.newBuilder().setSegment(start.getKey()).setOffset(start.getValue())));
            request.addPositions(positions);
        }
        try {
            call(Rpc.CREATE_GROUP, request.build());
        } catch (SluiceException e) {
            if (e.reason() == ErrorReason.ALREADY_EXISTS) {
                throw new NonRecoverableSourceException("reader group " + settings.group() + " exists and reads other streams than "
                        + streams + ": take another group", e);
            }
            throw e;
        }
    }

    private static Map<Integer, Long> offsets(Positions positions) {
        Map<Integer, Long> offsets = new HashMap<>();
        positions.getSegmentsList().forEach(segment -> offsets.put(segment.getSegment(), segment.getOffset()));
        return offsets;
    }

    private <Q extends Message, A extends Message> A call(Rpc<Q, A> rpc, Q request) throws IOException, InterruptedException {
        return client.call(rpc, request, settings.reconnectTimeout());
    }
}
