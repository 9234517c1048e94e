package io.sluice.flink.client;

import io.grpc.MethodDescriptor;
import io.sluice.flink.data.BlockData;
import io.sluice.proto.gateway.v1.AppendEventsResponse;
import io.sluice.proto.gateway.v1.InitWriterRequest;
import io.sluice.proto.gateway.v1.InitWriterResponse;
import io.sluice.proto.gateway.v1.StreamName;
import org.apache.flink.annotation.Internal;

import java.time.Duration;

/**
 * Plain appends of one writer to one stream: what is answered is durable and visible. Used by one thread. A gateway
 * restart is invisible: what is not answered is kept and sent again, and applied once.
 */
@Internal
public final class EventStream implements AutoCloseable {

    private static final MethodDescriptor<EncodedRequest, AppendEventsResponse> APPEND =
            Marshallers.sendingBlocks("Writers/Append", AppendEventsResponse.parser());

    private final StreamName stream;
    private final String writer;
    private final Call call;

    private long streamId;
    private long writerId;
    private long epoch;
    private long nextSeq;

    /**
     * Opens the writer.
     *
     * @param writer unique on the stream; a second one of the same name fences the first
     * @param timeout how long a gateway that is away is waited for
     */
    public EventStream(SluiceClient client, StreamName stream, String writer, Duration timeout)
            throws SluiceException, InterruptedException {
        this.stream = stream;
        this.writer = writer;
        nextSeq = init(client.call(Rpc.INIT_WRITER, initRequest(client), timeout));
        this.call = new Call(client, timeout);
        call.restartAt(nextSeq);
    }

    /** Adds a block; returns when it is queued, waits while too much is under way. The block must not change any more. */
    public void append(int segment, BlockData block) throws SluiceException, InterruptedException {
        long first = nextSeq;
        nextSeq += block.rows;
        call.add(
                new ResumableAppend.Entry(
                        first, nextSeq, EncodedRequest.events(streamId, writerId, epoch, first, segment, block)));
    }

    /** Waits until everything added is durable and visible. */
    public void flush() throws SluiceException, InterruptedException {
        call.awaitAnswers();
    }

    @Override
    public void close() {
        call.close();
    }

    private InitWriterRequest initRequest(SluiceClient client) {
        return InitWriterRequest.newBuilder()
                .setRequest(client.nextRequestId())
                .setStream(stream)
                .setWriter(writer)
                .build();
    }

    /** Takes the answer's numbers over and returns the sequence to go on at. */
    private long init(InitWriterResponse answer) {
        streamId = answer.getStreamId();
        writerId = answer.getWriterId();
        epoch = answer.getEpoch();
        return answer.getLastSeq() + 1;
    }

    private final class Call extends ResumableAppend<AppendEventsResponse> {

        Call(SluiceClient client, Duration timeout) {
            super(client, "Writers/Append", APPEND, timeout, 0);
        }

        @Override
        void onAnswer(AppendEventsResponse answer) {
            answeredTo(answer.getLastSeq() + 1, answer.getLastSeq() + 1);
        }

        @Override
        long whereToResume() throws SluiceException, InterruptedException {
            // The epoch stays: requests that are kept are encoded with it. A repeat below what is applied is answered as
            // before, so everything that was not answered can simply be sent again.
            return heldFrom(nextSeq);
        }
    }
}
