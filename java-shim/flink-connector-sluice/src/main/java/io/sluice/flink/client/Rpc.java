package io.sluice.flink.client;

import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import io.grpc.protobuf.ProtoUtils;
import io.sluice.proto.gateway.v1.*;
import org.apache.flink.annotation.Internal;

/** A unary call of the gateway, as a value: pass it to {@link SluiceClient#call}. */
@Internal
public final class Rpc<Q extends Message, A extends Message> {

    public static final Rpc<GetStatusRequest, GetStatusResponse> GET_STATUS =
            unary("Admin/GetStatus", GetStatusRequest.getDefaultInstance(), GetStatusResponse.getDefaultInstance());

    public static final Rpc<CreateScopeRequest, CreateScopeResponse> CREATE_SCOPE =
            unary("Streams/CreateScope", CreateScopeRequest.getDefaultInstance(), CreateScopeResponse.getDefaultInstance());
    public static final Rpc<CreateStreamRequest, CreateStreamResponse> CREATE_STREAM =
            unary("Streams/CreateStream", CreateStreamRequest.getDefaultInstance(), CreateStreamResponse.getDefaultInstance());
    public static final Rpc<ListStreamsRequest, ListStreamsResponse> LIST_STREAMS =
            unary("Streams/ListStreams", ListStreamsRequest.getDefaultInstance(), ListStreamsResponse.getDefaultInstance());
    public static final Rpc<GetStreamRequest, GetStreamResponse> GET_STREAM =
            unary("Streams/GetStream", GetStreamRequest.getDefaultInstance(), GetStreamResponse.getDefaultInstance());
    public static final Rpc<DeleteStreamRequest, DeleteStreamResponse> DELETE_STREAM =
            unary("Streams/DeleteStream", DeleteStreamRequest.getDefaultInstance(), DeleteStreamResponse.getDefaultInstance());
    public static final Rpc<SealStreamRequest, SealStreamResponse> SEAL_STREAM =
            unary("Streams/SealStream", SealStreamRequest.getDefaultInstance(), SealStreamResponse.getDefaultInstance());
    public static final Rpc<FlushStreamRequest, FlushStreamResponse> FLUSH_STREAM =
            unary("Streams/FlushStream", FlushStreamRequest.getDefaultInstance(), FlushStreamResponse.getDefaultInstance());
    public static final Rpc<GetPositionsRequest, GetPositionsResponse> GET_POSITIONS =
            unary("Streams/GetPositions", GetPositionsRequest.getDefaultInstance(), GetPositionsResponse.getDefaultInstance());
    public static final Rpc<GetSchemaRequest, GetSchemaResponse> GET_SCHEMA =
            unary("Schemas/GetSchema", GetSchemaRequest.getDefaultInstance(), GetSchemaResponse.getDefaultInstance());

    public static final Rpc<InitWriterRequest, InitWriterResponse> INIT_WRITER =
            unary("Writers/InitWriter", InitWriterRequest.getDefaultInstance(), InitWriterResponse.getDefaultInstance());

    public static final Rpc<OpenWriterRequest, OpenWriterResponse> OPEN_WRITER =
            unary("Transactions/OpenWriter", OpenWriterRequest.getDefaultInstance(), OpenWriterResponse.getDefaultInstance());
    public static final Rpc<BeginRequest, BeginResponse> BEGIN =
            unary("Transactions/Begin", BeginRequest.getDefaultInstance(), BeginResponse.getDefaultInstance());
    public static final Rpc<PrepareRequest, PrepareResponse> PREPARE =
            unary("Transactions/Prepare", PrepareRequest.getDefaultInstance(), PrepareResponse.getDefaultInstance());
    public static final Rpc<AbortRequest, AbortResponse> ABORT =
            unary("Transactions/Abort", AbortRequest.getDefaultInstance(), AbortResponse.getDefaultInstance());
    public static final Rpc<GetTransactionRequest, GetTransactionResponse> GET_TRANSACTION =
            unary("Transactions/Get", GetTransactionRequest.getDefaultInstance(), GetTransactionResponse.getDefaultInstance());
    public static final Rpc<ListTransactionsRequest, ListTransactionsResponse> LIST_TRANSACTIONS =
            unary("Transactions/List", ListTransactionsRequest.getDefaultInstance(), ListTransactionsResponse.getDefaultInstance());
    public static final Rpc<GetSinkRequest, GetSinkResponse> GET_SINK =
            unary("Transactions/GetSink", GetSinkRequest.getDefaultInstance(), GetSinkResponse.getDefaultInstance());
    public static final Rpc<AttachSinkRequest, AttachSinkResponse> ATTACH_SINK =
            unary("Transactions/AttachSink", AttachSinkRequest.getDefaultInstance(), AttachSinkResponse.getDefaultInstance());
    public static final Rpc<CommitGroupRequest, CommitGroupResponse> COMMIT_GROUP =
            unary("Transactions/CommitGroup", CommitGroupRequest.getDefaultInstance(), CommitGroupResponse.getDefaultInstance());

    public static final Rpc<CreateGroupRequest, CreateGroupResponse> CREATE_GROUP =
            unary("ReaderGroups/CreateGroup", CreateGroupRequest.getDefaultInstance(), CreateGroupResponse.getDefaultInstance());
    public static final Rpc<GetGroupRequest, GetGroupResponse> GET_GROUP =
            unary("ReaderGroups/GetGroup", GetGroupRequest.getDefaultInstance(), GetGroupResponse.getDefaultInstance());
    public static final Rpc<UpdatePositionsRequest, UpdatePositionsResponse> UPDATE_POSITIONS =
            unary("ReaderGroups/UpdatePositions", UpdatePositionsRequest.getDefaultInstance(), UpdatePositionsResponse.getDefaultInstance());
    public static final Rpc<CheckpointRequest, CheckpointResponse> CHECKPOINT =
            unary("ReaderGroups/Checkpoint", CheckpointRequest.getDefaultInstance(), CheckpointResponse.getDefaultInstance());
    public static final Rpc<GetCheckpointRequest, GetCheckpointResponse> GET_CHECKPOINT =
            unary("ReaderGroups/GetCheckpoint", GetCheckpointRequest.getDefaultInstance(), GetCheckpointResponse.getDefaultInstance());
    public static final Rpc<ResetGroupRequest, ResetGroupResponse> RESET_GROUP =
            unary("ReaderGroups/ResetGroup", ResetGroupRequest.getDefaultInstance(), ResetGroupResponse.getDefaultInstance());

    public static final Rpc<PlanRequest, PlanResponse> SCAN_PLAN =
            unary("Scan/Plan", PlanRequest.getDefaultInstance(), PlanResponse.getDefaultInstance());

    static final String PACKAGE = "sluice.gateway.v1.";

    private final MethodDescriptor<Q, A> method;

    private Rpc(MethodDescriptor<Q, A> method) {
        this.method = method;
    }

    private static <Q extends Message, A extends Message> Rpc<Q, A> unary(String name, Q request, A answer) {
        return new Rpc<>(
                MethodDescriptor.<Q, A>newBuilder()
                        .setType(MethodDescriptor.MethodType.UNARY)
                        .setFullMethodName("sluice.gateway.v1." + name)
                        .setRequestMarshaller(ProtoUtils.marshaller(request))
                        .setResponseMarshaller(ProtoUtils.marshaller(answer))
                        .build());
    }

    MethodDescriptor<Q, A> method() {
        return method;
    }

    /** Service and method, for messages: {@code Streams/GetStream}. */
    public String name() {
        return method.getFullMethodName().substring(PACKAGE.length());
    }
}
