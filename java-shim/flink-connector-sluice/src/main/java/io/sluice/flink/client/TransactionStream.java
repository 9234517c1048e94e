package io.sluice.flink.client;

import com.google.protobuf.ByteString;
import io.grpc.MethodDescriptor;
import io.sluice.flink.data.BlockData;
import io.sluice.proto.gateway.v1.AbortRequest;
import io.sluice.proto.gateway.v1.AppendChunkResponse;
import io.sluice.proto.gateway.v1.BeginRequest;
import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.GetTransactionRequest;
import io.sluice.proto.gateway.v1.PrepareRequest;
import io.sluice.proto.gateway.v1.PrepareResponse;
import io.sluice.proto.gateway.v1.SinkName;
import io.sluice.proto.gateway.v1.TransactionInfo;
import io.sluice.proto.gateway.v1.TransactionState;
import org.apache.flink.annotation.Internal;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.UUID;

/**
 * The transactions of one sink writer, one after the other, over one pipelined Append call.
 *
 * <p>Lifecycle, on one thread: {@link #begin}, {@link #append} any number of times, {@link #prepare}; then again. A
 * gateway restart in between is invisible: blocks that are not durable yet are kept (up to a limit) and sent again. If
 * one that is needed was let go, the failure says so and the transaction is lost; its data is in no checkpoint.
 */
@Internal
public final class TransactionStream implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(TransactionStream.class);
    private static final long HELD_BYTES_MAX = 32 << 20;
    private static final Duration ABORT_TIMEOUT = Duration.ofSeconds(1);
    private static final MethodDescriptor<EncodedRequest, AppendChunkResponse> APPEND =
            Marshallers.sendingBlocks("Transactions/Append", AppendChunkResponse.parser());

    private final SluiceClient client;
    private final SinkName sink;
    private final int subtask;
    private final long writerEpoch;
    private final Duration timeout;
    private final MessageDigest digest;
    private final ByteBuffer digestEntry = ByteBuffer.allocate(28).order(ByteOrder.LITTLE_ENDIAN);
    private final Call call;

    /** The open transaction; read by the connection's thread as well. */
    private volatile ByteString txnId;
    private long chunks;
    private long events;
    private long bytes;

    /** @param timeout how long a gateway that is away is waited for */
    public TransactionStream(SluiceClient client, SinkName sink, int subtask, long writerEpoch, Duration timeout) {
        this.client = client;
        this.sink = sink;
        this.subtask = subtask;
        this.writerEpoch = writerEpoch;
        this.timeout = timeout;
        this.call = new Call();
        try {
            this.digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /** Whether a transaction is open. */
    public boolean isOpen() {
        return txnId != null;
    }

    /** Opens a transaction under a new random id. */
    public void begin() throws SluiceException, InterruptedException {
        ByteString id = Ids.bytes(UUID.randomUUID());
        client.call(Rpc.BEGIN, beginRequest(id), timeout);
        digest.reset();
        chunks = 0;
        events = 0;
        bytes = 0;
        txnId = id;
        call.restartAt(0);
    }

    /** Adds a block; returns when it is queued, waits while too much is under way. The block must not change any more. */
    public void append(long streamId, int segment, BlockData block) throws SluiceException, InterruptedException {
        long seq = chunks;
        digestEntry.clear();
        digestEntry.putLong(seq).putLong(block.rows).putLong(block.length).putInt(block.crc32c).flip();
        digest.update(digestEntry);
        chunks++;
        events += block.rows;
        bytes += block.length;
        call.add(new ResumableAppend.Entry(seq, seq + 1, EncodedRequest.chunk(txnId, seq, streamId, segment, block)));
    }

    /** Freezes the open transaction; durable when it returns. Afterwards {@link #begin} may be called again. */
    public PreparedTransaction prepare() throws SluiceException, InterruptedException {
        PrepareRequest request =
                PrepareRequest.newBuilder()
                        .setTxnId(txnId)
                        .setChunks(chunks)
                        .setEvents(events)
                        .setBytes(bytes)
                        .setDigest(ByteString.copyFrom(digest.digest()))
                        .build();
        PrepareResponse receipt = prepare(request);
        PreparedTransaction prepared =
                new PreparedTransaction(
                        Ids.uuid(txnId), receipt.getSubtask(), receipt.getWriterEpoch(), events, bytes);
        txnId = null;
        call.restartAt(0);
        return prepared;
    }

    private PrepareResponse prepare(PrepareRequest request) throws SluiceException, InterruptedException {
        Backoff backoff = new Backoff(timeout);
        boolean mismatched = false;
        while (true) {
            call.awaitAnswers();
            try {
                return client.callOnce(Rpc.PREPARE, request, Duration.ofSeconds(30));
            } catch (SluiceException e) {
                // After a restart the gateway may lack blocks it had accepted: resuming sends them again.
                boolean blocksMissing =
                        e.reason() == ErrorReason.DIGEST_MISMATCH || e.reason() == ErrorReason.UNKNOWN_TRANSACTION;
                if (!e.retriable() && (!blocksMissing || mismatched)) {
                    throw e;
                }
                if (backoff.expired()) {
                    throw e;
                }
                mismatched = blocksMissing;
                backoff.sleep();
                call.resume();
            }
        }
    }

    /**
     * Gives up the open transaction, if there is one. One short attempt: if it fails, the slot's next owner or the
     * gateway's time limit for idle transactions drops it.
     */
    public void abort() {
        if (txnId == null) {
            return;
        }
        AbortRequest request = AbortRequest.newBuilder().setTxnId(txnId).build();
        txnId = null;
        try {
            client.callOnce(Rpc.ABORT, request, ABORT_TIMEOUT);
        } catch (SluiceException e) {
            LOG.debug("an open transaction is left to the gateway", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        call.close();
    }

    private BeginRequest beginRequest(ByteString id) {
        return BeginRequest.newBuilder().setTxnId(id).setSink(sink).setSubtask(subtask).setWriterEpoch(writerEpoch).build();
    }

    private final class Call extends ResumableAppend<AppendChunkResponse> {

        Call() {
            super(TransactionStream.this.client, "Transactions/Append", APPEND, timeout, HELD_BYTES_MAX);
        }

        @Override
        void onAnswer(AppendChunkResponse answer) {
            if (answer.getTxnId().equals(txnId)) {
                answeredTo(answer.getSeq() + 1, answer.getDurableChunks());
            }
        }

        @Override
        long whereToResume() throws SluiceException, InterruptedException {
            GetTransactionRequest request = GetTransactionRequest.newBuilder().setTxnId(txnId).build();
            TransactionInfo info;
            try {
                info = client.callOnce(Rpc.GET_TRANSACTION, request, Duration.ofSeconds(10)).getTransaction();
            } catch (SluiceException e) {
                if (e.reason() != ErrorReason.UNKNOWN_TRANSACTION) {
                    throw e;
                }
                // The Begin itself was lost with the gateway. The same id may begin again; whether everything is still
                // held is judged by the caller.
                client.callOnce(Rpc.BEGIN, beginRequest(txnId), Duration.ofSeconds(10));
                return 0;
            }
            if (info.getState() == TransactionState.ABORTED || info.getState() == TransactionState.COMMITTED) {
                throw ended(info);
            }
            return info.getChunks();
        }

        private SluiceException ended(TransactionInfo info) {
            return new SluiceException(
                    "transaction " + Ids.uuid(info.getTxnId()) + " is " + info.getState()
                            + (info.getAbortReason().isEmpty() ? "" : " (" + info.getAbortReason() + ")")
                            + " while its writer still writes it",
                    Errors.detail(
                                    ErrorClass.REJECTED,
                                    info.getState() == TransactionState.ABORTED
                                            ? ErrorReason.TRANSACTION_ABORTED
                                            : ErrorReason.ALREADY_COMMITTED)
                            .toBuilder()
                            .setAbortReason(info.getAbortReason())
                            .build(),
                    null);
        }
    }
}
