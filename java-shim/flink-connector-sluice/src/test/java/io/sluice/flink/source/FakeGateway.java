package io.sluice.flink.source;

import com.google.protobuf.Any;
import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import io.sluice.proto.gateway.v1.CheckpointRequest;
import io.sluice.proto.gateway.v1.CheckpointResponse;
import io.sluice.proto.gateway.v1.CreateGroupRequest;
import io.sluice.proto.gateway.v1.CreateGroupResponse;
import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorDetail;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.GetGroupRequest;
import io.sluice.proto.gateway.v1.GetGroupResponse;
import io.sluice.proto.gateway.v1.GetStreamRequest;
import io.sluice.proto.gateway.v1.GetStreamResponse;
import io.sluice.proto.gateway.v1.ReadRequest;
import io.sluice.proto.gateway.v1.ReadResponse;
import io.sluice.proto.gateway.v1.ResetGroupRequest;
import io.sluice.proto.gateway.v1.ResetGroupResponse;
import io.sluice.proto.gateway.v1.SegmentInfo;
import io.sluice.proto.gateway.v1.StreamInfo;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;

/** A gRPC server that answers as a test tells it, for what a real gateway does not do on demand: errors, gaps, bursts, absence. */
public final class FakeGateway implements AutoCloseable {
    /** What happens on a Read call. */
    public interface ReadHandler {
        /** A reader opened a call; answers who takes its requests. */
        StreamObserver<ReadRequest> opened(StreamObserver<ReadResponse> responses);
    }

    public final Map<String, StreamInfo> streams = new ConcurrentHashMap<>();
    public final List<Message> groupCalls = new CopyOnWriteArrayList<>();
    public volatile ReadHandler reads;
    /** Answers group calls; may throw {@link #refusal}. */
    public volatile Function<Message, Message> groups = call -> {
        throw refusal(ErrorClass.NOT_FOUND, ErrorReason.UNKNOWN_READER_GROUP, "there is no such group");
    };

    private final int port;
    private Server server;

    public FakeGateway() throws IOException {
        server = build(0);
        port = server.getPort();
    }

    private Server build(int wanted) throws IOException {
        return NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", wanted))
                .addService(ServerServiceDefinition.builder("sluice.gateway.v1.Streams")
                        .addMethod(unary("Streams/GetStream", GetStreamRequest.getDefaultInstance(), GetStreamResponse.getDefaultInstance()),
                                answer(this::getStream))
                        .build())
                .addService(ServerServiceDefinition.builder("sluice.gateway.v1.ReaderGroups")
                        .addMethod(unary("ReaderGroups/GetGroup", GetGroupRequest.getDefaultInstance(), GetGroupResponse.getDefaultInstance()),
                                answer(this::group))
                        .addMethod(unary("ReaderGroups/CreateGroup", CreateGroupRequest.getDefaultInstance(), CreateGroupResponse.getDefaultInstance()),
                                answer(this::group))
                        .addMethod(unary("ReaderGroups/Checkpoint", CheckpointRequest.getDefaultInstance(), CheckpointResponse.getDefaultInstance()),
                                answer(this::group))
                        .addMethod(unary("ReaderGroups/ResetGroup", ResetGroupRequest.getDefaultInstance(), ResetGroupResponse.getDefaultInstance()),
                                answer(this::group))
                        .build())
                .addService(ServerServiceDefinition.builder("sluice.gateway.v1.Reader")
                        .addMethod(method(MethodDescriptor.MethodType.BIDI_STREAMING, "Reader/Read", ReadRequest.getDefaultInstance(), ReadResponse.getDefaultInstance()),
                                ServerCalls.<ReadRequest, ReadResponse>asyncBidiStreamingCall(responses -> reads.opened(responses)))
                        .build())
                .build()
                .start();
    }

    private static <Q extends Message, A extends Message> MethodDescriptor<Q, A> unary(String name, Q request, A answer) {
        return method(MethodDescriptor.MethodType.UNARY, name, request, answer);
    }

    private static <Q extends Message, A extends Message> MethodDescriptor<Q, A> method(
            MethodDescriptor.MethodType type, String name, Q request, A answer) {
        return MethodDescriptor.<Q, A>newBuilder()
                .setType(type)
                .setFullMethodName("sluice.gateway.v1." + name)
                .setRequestMarshaller(ProtoUtils.marshaller(request))
                .setResponseMarshaller(ProtoUtils.marshaller(answer))
                .build();
    }

    private static <Q extends Message, A extends Message> io.grpc.ServerCallHandler<Q, A> answer(Function<Q, A> how) {
        return ServerCalls.asyncUnaryCall((Q request, StreamObserver<A> responses) -> {
            try {
                responses.onNext(how.apply(request));
                responses.onCompleted();
            } catch (RuntimeException e) {
                responses.onError(e);
            }
        });
    }

    private GetStreamResponse getStream(GetStreamRequest request) {
        StreamInfo stream = streams.get(request.getStream().getScope() + "/" + request.getStream().getName());
        if (stream == null) {
            throw refusal(ErrorClass.NOT_FOUND, ErrorReason.UNKNOWN_STREAM, "there is no such stream");
        }
        return GetStreamResponse.newBuilder().setStream(stream).build();
    }

    @SuppressWarnings("unchecked")
    private <A extends Message> A group(Message request) {
        groupCalls.add(request);
        return (A) groups.apply(request);
    }

    /** A typed error as the gateway sends it. */
    public static RuntimeException refusal(ErrorClass errorClass, ErrorReason reason, String sentence) {
        ErrorDetail detail = ErrorDetail.newBuilder().setClass_(errorClass).setReason(reason).build();
        return StatusProto.toStatusRuntimeException(com.google.rpc.Status.newBuilder()
                .setCode(com.google.rpc.Code.FAILED_PRECONDITION_VALUE)
                .setMessage(sentence)
                .addDetails(Any.pack(detail))
                .build());
    }

    /** Adds a stream of bytes whose segments reach to the offsets given. */
    public void addBytesStream(String scope, String name, long id, long... nextOffsets) {
        StreamInfo.Builder stream = StreamInfo.newBuilder().setStreamId(id).setSchemaId(1);
        stream.getStreamBuilder().setScope(scope).setName(name);
        for (int i = 0; i < nextOffsets.length; i++) {
            stream.addSegments(SegmentInfo.newBuilder().setSegment(i).setNextOffset(nextOffsets[i]));
        }
        streams.put(scope + "/" + name, stream.build());
    }

    public String endpoint() {
        return "127.0.0.1:" + port;
    }

    /** Goes away, breaking all calls. */
    public void stop() throws InterruptedException {
        server.shutdownNow().awaitTermination();
    }

    /** Comes back on the same port. */
    public void startAgain() throws IOException {
        server = build(port);
    }

    @Override
    public void close() throws InterruptedException {
        stop();
    }
}
