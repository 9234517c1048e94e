package io.sluice.flink.tests;

import com.google.protobuf.Message;
import io.sluice.flink.client.EventStream;
import io.sluice.flink.client.Names;
import io.sluice.flink.client.ReadStream;
import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.flink.data.BlockReader;
import io.sluice.flink.data.BytesBlockBuilder;
import io.sluice.flink.data.BytesBlockReader;
import io.sluice.flink.data.SchemaMapping;
import io.sluice.proto.gateway.v1.CreateScopeRequest;
import io.sluice.proto.gateway.v1.CreateStreamRequest;
import io.sluice.proto.gateway.v1.End;
import io.sluice.proto.gateway.v1.Events;
import io.sluice.proto.gateway.v1.GetGroupRequest;
import io.sluice.proto.gateway.v1.GetSinkRequest;
import io.sluice.proto.gateway.v1.GetStreamRequest;
import io.sluice.proto.gateway.v1.GroupInfo;
import io.sluice.proto.gateway.v1.GroupName;
import io.sluice.proto.gateway.v1.SegmentInfo;
import io.sluice.proto.gateway.v1.SinkInfo;
import io.sluice.proto.gateway.v1.StreamConfig;
import io.sluice.proto.gateway.v1.StreamInfo;
import io.sluice.proto.gateway.v1.StreamName;
import io.sluice.proto.gateway.v1.Subscribe;
import io.sluice.proto.gateway.v1.Tail;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

/** Makes, fills and reads streams beside Flink, straight over the client. */
final class TestStreams implements AutoCloseable {
    static final Duration TIMEOUT = Duration.ofSeconds(30);

    private static final AtomicLong WRITERS = new AtomicLong();
    private static final long WINDOW_BYTES = 8 << 20;

    final SluiceClient client;

    TestStreams(GatewayProcess gateway) {
        this.client = SluiceClient.acquire(gateway.endpoint());
    }

    <Q extends Message, A extends Message> A call(Rpc<Q, A> rpc, Q request) {
        try {
            return client.call(rpc, request, TIMEOUT);
        } catch (SluiceException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A stream of bytes. */
    StreamInfo create(String stream, int segments) {
        return create(stream, StreamConfig.newBuilder().setSegments(segments).build());
    }

    /** A stream of rows without routing key. */
    StreamInfo create(String stream, int segments, RowType rowType) {
        return create(stream, StreamConfig.newBuilder().setSegments(segments).setSchema(SchemaMapping.toProto(rowType)).build());
    }

    private StreamInfo create(String stream, StreamConfig config) {
        StreamName name = Names.stream(stream);
        call(Rpc.CREATE_SCOPE, CreateScopeRequest.newBuilder().setRequest(client.nextRequestId()).setScope(name.getScope()).build());
        call(Rpc.CREATE_STREAM,
                CreateStreamRequest.newBuilder().setRequest(client.nextRequestId()).setStream(name).setConfig(config).build());
        return describe(stream);
    }

    StreamInfo describe(String stream) {
        return call(Rpc.GET_STREAM, GetStreamRequest.newBuilder().setStream(Names.stream(stream)).build()).getStream();
    }

    /** Committed events over all segments; 0 if there is no such stream. */
    long count(String stream) {
        try {
            return client.call(Rpc.GET_STREAM, GetStreamRequest.newBuilder().setStream(Names.stream(stream)).build(), TIMEOUT)
                    .getStream().getSegmentsList().stream().mapToLong(SegmentInfo::getNextOffset).sum();
        } catch (SluiceException e) {
            return 0;
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    SinkInfo sink(String sink) {
        return call(Rpc.GET_SINK, GetSinkRequest.newBuilder().setSink(Names.sink(sink, "none")).build()).getSink();
    }

    GroupInfo group(String scope, String name) {
        return call(Rpc.GET_GROUP,
                        GetGroupRequest.newBuilder().setGroup(GroupName.newBuilder().setScope(scope).setName(name)).build())
                .getGroup();
    }

    /** Appends lines to one segment of a bytes stream, all under one key, in a block for each {@code rowsPerBlock} lines; durable on return. */
    void append(String stream, int segment, List<String> lines, int rowsPerBlock) {
        byte[] key = SegmentKeys.keyOf(describe(stream).getSegmentsCount(), segment);
        try (EventStream writer = new EventStream(client, Names.stream(stream), "test-" + WRITERS.incrementAndGet(), TIMEOUT)) {
            for (int from = 0; from < lines.size(); from += rowsPerBlock) {
                BytesBlockBuilder block = new BytesBlockBuilder();
                for (String line : lines.subList(from, Math.min(lines.size(), from + rowsPerBlock))) {
                    block.append(key, line.getBytes(StandardCharsets.UTF_8), null, null);
                }
                writer.append(segment, block.finish());
            }
            writer.flush();
        } catch (SluiceException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The committed payloads of a bytes stream, segment by segment. */
    List<String> lines(String stream) {
        List<String> lines = new ArrayList<>();
        linesOfSegments(stream).values().forEach(lines::addAll);
        return lines;
    }

    /** The committed payloads of a bytes stream by segment; one that is empty is left out. */
    Map<Integer, List<String>> linesOfSegments(String stream) {
        Map<Integer, List<String>> lines = new TreeMap<>();
        forEachBlock(stream, (segment, events) -> {
            BytesBlockReader.Rows rows = new BytesBlockReader().open(events.getBlock());
            List<String> ofSegment = lines.computeIfAbsent(segment, first -> new ArrayList<>());
            for (int i = 0; i < rows.size(); i++) {
                ofSegment.add(new String(rows.value(i), StandardCharsets.UTF_8));
            }
        });
        return lines;
    }

    /** The committed rows of a typed stream, segment by segment. */
    List<RowData> rows(String stream) {
        RowType rowType = SchemaMapping.fromProto(describe(stream).getSchema());
        List<RowData> all = new ArrayList<>();
        forEachBlock(stream, (segment, events) -> {
            BlockReader.Rows rows = new BlockReader(rowType, null).open(events.getBlock());
            for (int i = 0; i < rows.size(); i++) {
                all.add(rows.row(i));
            }
        });
        return all;
    }

    private interface BlockUser {
        void use(int segment, Events events) throws IOException;
    }

    private void forEachBlock(String stream, BlockUser user) {
        StreamInfo info = describe(stream);
        for (SegmentInfo segment : info.getSegmentsList()) {
            if (segment.getNextOffset() == segment.getHead()) {
                continue;
            }
            CompletableFuture<Void> done = new CompletableFuture<>();
            AtomicLong next = new AtomicLong(segment.getHead());
            Collecting listener = new Collecting(user, segment.getSegment(), next, segment.getNextOffset(), done);
            ReadStream call = client.read(listener, Integer.MAX_VALUE);
            listener.call = call;
            call.subscribe(Subscribe.newBuilder()
                    .setSubscription(1)
                    .setStreamId(info.getStreamId())
                    .setSegment(segment.getSegment())
                    .setFromOffset(segment.getHead())
                    .setEndOffset(segment.getNextOffset())
                    .setCreditBytes(WINDOW_BYTES)
                    .build());
            try {
                done.get(TIMEOUT.toSeconds(), TimeUnit.SECONDS);
            } catch (Exception e) {
                throw new IllegalStateException("reading segment " + segment.getSegment() + " of " + stream + " stopped at " + next, e);
            } finally {
                call.close();
            }
        }
    }

    /** Takes blocks of one subscription and checks that offsets are dense. */
    private static final class Collecting implements ReadStream.Listener {
        private final BlockUser user;
        private final int segment;
        private final AtomicLong next;
        private final long end;
        private final CompletableFuture<Void> done;
        private volatile ReadStream call;

        Collecting(BlockUser user, int segment, AtomicLong next, long end, CompletableFuture<Void> done) {
            this.user = user;
            this.segment = segment;
            this.next = next;
            this.end = end;
            this.done = done;
        }

        @Override
        public void onEvents(Events events) {
            try {
                if (events.getBaseOffset() != next.get()) {
                    throw new IOException("block at " + events.getBaseOffset() + " where " + next + " was due");
                }
                user.use(segment, events);
                if (next.addAndGet(events.getBlock().getRows()) >= end) {
                    done.complete(null);
                }
                call.credit(1, events.getBlock().getData().size());
            } catch (IOException | RuntimeException e) {
                done.completeExceptionally(e);
            }
        }

        @Override
        public void onTail(Tail tail) {}

        @Override
        public void onEnd(End end) {
            if (end.hasError()) {
                done.completeExceptionally(new IOException(end.getMessage()));
            }
        }

        @Override
        public void onClosed(SluiceException cause) {
            if (cause != null) {
                done.completeExceptionally(cause);
            }
        }
    }

    @Override
    public void close() {
        client.close();
    }
}
