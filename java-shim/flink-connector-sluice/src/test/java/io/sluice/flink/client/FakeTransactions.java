package io.sluice.flink.client;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import io.sluice.proto.gateway.v1.AbortResponse;
import io.sluice.proto.gateway.v1.AppendChunkRequest;
import io.sluice.proto.gateway.v1.AppendChunkResponse;
import io.sluice.proto.gateway.v1.BeginRequest;
import io.sluice.proto.gateway.v1.BeginResponse;
import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorDetail;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.GetTransactionRequest;
import io.sluice.proto.gateway.v1.GetTransactionResponse;
import io.sluice.proto.gateway.v1.PrepareRequest;
import io.sluice.proto.gateway.v1.PrepareResponse;
import io.sluice.proto.gateway.v1.TransactionInfo;
import io.sluice.proto.gateway.v1.TransactionState;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/** Transactions over real gRPC, in memory, with crashes on command: what was not durable is forgotten. */
final class FakeTransactions implements AutoCloseable {

    /** One transaction. */
    static final class Transaction {
        final List<AppendChunkRequest> chunks = new ArrayList<>();
        int durable;
        boolean prepared;
        boolean aborted;
    }

    final Map<ByteString, Transaction> transactions = new HashMap<>();
    /** Answers of appends: how many chunks get durable with each (0: none until Prepare). */
    boolean durableAtOnce;
    /** Calls of Prepare that are answered UNAVAILABLE after they took effect. */
    int lostPrepareAnswers;
    /** Appends are taken but not answered. */
    boolean silent;
    ErrorReason refuseAppends;
    int begins;
    int appends;

    private final Set<StreamObserver<AppendChunkResponse>> calls = new HashSet<>();
    private final Server server;

    FakeTransactions() throws IOException {
        ServerServiceDefinition.Builder service = ServerServiceDefinition.builder("sluice.gateway.v1.Transactions");
        unary(service, Rpc.BEGIN, this::begin);
        unary(service, Rpc.GET_TRANSACTION, this::get);
        unary(service, Rpc.PREPARE, this::prepare);
        unary(service, Rpc.ABORT, request -> AbortResponse.getDefaultInstance());
        service.addMethod(
                MethodDescriptor.<AppendChunkRequest, AppendChunkResponse>newBuilder()
                        .setType(MethodDescriptor.MethodType.BIDI_STREAMING)
                        .setFullMethodName("sluice.gateway.v1.Transactions/Append")
                        .setRequestMarshaller(ProtoUtils.marshaller(AppendChunkRequest.getDefaultInstance()))
                        .setResponseMarshaller(ProtoUtils.marshaller(AppendChunkResponse.getDefaultInstance()))
                        .build(),
                ServerCalls.asyncBidiStreamingCall(this::append));
        server =
                NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))
                        .maxInboundMessageSize(16 << 20)
                        .addService(service.build())
                        .build()
                        .start();
    }

    String endpoint() {
        return "127.0.0.1:" + server.getPort();
    }

    private <Q extends Message, A extends Message> void unary(
            ServerServiceDefinition.Builder service, Rpc<Q, A> rpc, Function<Q, A> handler) {
        service.addMethod(
                rpc.method(),
                ServerCalls.asyncUnaryCall(
                        (Q request, StreamObserver<A> answer) -> {
                            try {
                                A done;
                                synchronized (this) {
                                    done = handler.apply(request);
                                }
                                answer.onNext(done);
                                answer.onCompleted();
                            } catch (StatusRuntimeException e) {
                                answer.onError(e);
                            }
                        }));
    }

    private BeginResponse begin(BeginRequest request) {
        begins++;
        transactions.computeIfAbsent(request.getTxnId(), id -> new Transaction());
        return BeginResponse.getDefaultInstance();
    }

    private GetTransactionResponse get(GetTransactionRequest request) {
        Transaction transaction = find(request.getTxnId());
        TransactionState state =
                transaction.aborted ? TransactionState.ABORTED : transaction.prepared ? TransactionState.PREPARED : TransactionState.OPEN;
        return GetTransactionResponse.newBuilder()
                .setTransaction(
                        TransactionInfo.newBuilder()
                                .setTxnId(request.getTxnId())
                                .setState(state)
                                .setAbortReason(transaction.aborted ? "FENCED" : "")
                                .setChunks(transaction.chunks.size()))
                .build();
    }

    private PrepareResponse prepare(PrepareRequest request) {
        Transaction transaction = find(request.getTxnId());
        long events = transaction.chunks.stream().mapToLong(chunk -> chunk.getBlock().getRows()).sum();
        long bytes = transaction.chunks.stream().mapToLong(chunk -> chunk.getBlock().getData().size()).sum();
        if (request.getChunks() != transaction.chunks.size() || request.getEvents() != events || request.getBytes() != bytes) {
            throw refusal(ErrorClass.REJECTED, ErrorReason.DIGEST_MISMATCH, "count or digest unlike what is stored");
        }
        transaction.prepared = true;
        transaction.durable = transaction.chunks.size();
        if (lostPrepareAnswers > 0) {
            lostPrepareAnswers--;
            throw Status.UNAVAILABLE.withDescription("answer lost").asRuntimeException();
        }
        return PrepareResponse.newBuilder().setSubtask(4).setWriterEpoch(9).build();
    }

    private Transaction find(ByteString id) {
        Transaction transaction = transactions.get(id);
        if (transaction == null) {
            throw refusal(ErrorClass.NOT_FOUND, ErrorReason.UNKNOWN_TRANSACTION, "no such transaction");
        }
        return transaction;
    }

    private StreamObserver<AppendChunkRequest> append(StreamObserver<AppendChunkResponse> answers) {
        synchronized (this) {
            calls.add(answers);
        }
        return new StreamObserver<AppendChunkRequest>() {
            @Override
            public void onNext(AppendChunkRequest request) {
                synchronized (FakeTransactions.this) {
                    if (calls.contains(answers)) {
                        accept(request, answers);
                    }
                }
            }

            @Override
            public void onError(Throwable t) {
                synchronized (FakeTransactions.this) {
                    calls.remove(answers);
                }
            }

            @Override
            public void onCompleted() {}
        };
    }

    private void accept(AppendChunkRequest request, StreamObserver<AppendChunkResponse> answers) {
        appends++;
        Transaction transaction = transactions.get(request.getTxnId());
        if (refuseAppends != null || transaction == null || request.getSeq() > transaction.chunks.size()) {
            calls.remove(answers);
            answers.onError(
                    refuseAppends != null
                            ? refusal(ErrorClass.REJECTED, refuseAppends, "refused")
                            : refusal(ErrorClass.CONFLICT, ErrorReason.OUT_OF_SEQUENCE, "gap"));
            return;
        }
        if (request.getSeq() == transaction.chunks.size()) {
            transaction.chunks.add(request);
        }
        if (durableAtOnce) {
            transaction.durable = transaction.chunks.size();
        }
        if (!silent) {
            answers.onNext(
                    AppendChunkResponse.newBuilder()
                            .setTxnId(request.getTxnId())
                            .setSeq(request.getSeq())
                            .setDurableChunks(transaction.durable)
                            .build());
        }
    }

    /** What kill -9 does: calls end, what was not durable is gone. */
    synchronized void crash(boolean forgetEverything) {
        silent = false;
        for (StreamObserver<AppendChunkResponse> call : calls) {
            call.onError(Status.UNAVAILABLE.withDescription("killed").asRuntimeException());
        }
        calls.clear();
        if (forgetEverything) {
            transactions.clear();
        }
        for (Transaction transaction : transactions.values()) {
            transaction.chunks.subList(transaction.durable, transaction.chunks.size()).clear();
        }
    }

    synchronized int accepted() {
        return transactions.values().stream().mapToInt(transaction -> transaction.chunks.size()).sum();
    }

    synchronized Transaction only() {
        return transactions.values().iterator().next();
    }

    static StatusRuntimeException refusal(ErrorClass errorClass, ErrorReason reason, String message) {
        return StatusProto.toStatusRuntimeException(
                com.google.rpc.Status.newBuilder()
                        .setCode(Status.Code.FAILED_PRECONDITION.value())
                        .setMessage(message)
                        .addDetails(Any.pack(ErrorDetail.newBuilder().setClass_(errorClass).setReason(reason).build()))
                        .build());
    }

    @Override
    public void close() {
        server.shutdownNow();
    }
}
