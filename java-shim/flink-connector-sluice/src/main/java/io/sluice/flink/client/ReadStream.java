package io.sluice.flink.client;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.protobuf.ProtoUtils;
import io.sluice.proto.gateway.v1.Credit;
import io.sluice.proto.gateway.v1.End;
import io.sluice.proto.gateway.v1.Events;
import io.sluice.proto.gateway.v1.Pause;
import io.sluice.proto.gateway.v1.ReadRequest;
import io.sluice.proto.gateway.v1.ReadResponse;
import io.sluice.proto.gateway.v1.Resume;
import io.sluice.proto.gateway.v1.Subscribe;
import io.sluice.proto.gateway.v1.Tail;
import io.sluice.proto.gateway.v1.Unsubscribe;
import org.apache.flink.annotation.Internal;

/**
 * One Read call: any number of subscriptions over one connection. Methods are thread safe and never block.
 *
 * <p>A failed call is over, with all its subscriptions: the owner opens a new one and subscribes from the offsets it has
 * reached (it alone knows them). Calls after the end are ignored.
 */
@Internal
public final class ReadStream implements AutoCloseable {

    /**
     * What arrives. Called one at a time, on a thread of the connection: hand over and return, or the reading of all
     * subscriptions of this call stops.
     */
    @Internal
    public interface Listener {
        /** A block. Its {@code data} shares the received array; block readers take it without a copy. */
        void onEvents(Events events);

        /** Caught up for now. */
        void onTail(Tail tail);

        /** A subscription ended: end offset reached, segment sealed and read to its end, or failed. */
        void onEnd(End end);

        /**
         * The call is over; last callback. {@code cause} is null after {@link ReadStream#close}; otherwise the failure,
         * {@link SluiceException#retriable()} if opening another call may help.
         */
        void onClosed(SluiceException cause);
    }

    private static final MethodDescriptor<ReadRequest, ReadResponse> READ =
            MethodDescriptor.<ReadRequest, ReadResponse>newBuilder()
                    .setType(MethodDescriptor.MethodType.BIDI_STREAMING)
                    .setFullMethodName(Rpc.PACKAGE + "Reader/Read")
                    .setRequestMarshaller(ProtoUtils.marshaller(ReadRequest.getDefaultInstance()))
                    .setResponseMarshaller(Marshallers.receiving(ReadResponse.parser()))
                    .build();

    private final Object lock = new Object();
    private final ManagedChannel channel;
    private final ClientCall<ReadRequest, ReadResponse> call;
    private final String endpoint;
    private boolean closed;

    /** Takes over the channel. */
    ReadStream(ManagedChannel channel, String endpoint, Listener listener, int messages) {
        this.channel = channel;
        this.endpoint = endpoint;
        this.call = channel.newCall(READ, CallOptions.DEFAULT);
        call.start(new Answers(listener), new Metadata());
        call.request(messages);
    }

    /**
     * Asks for more messages. Credit in bytes shares the memory among subscriptions; this bounds it, whatever their number:
     * nothing is taken off the connection that was not asked for.
     */
    public void request(int messages) {
        call.request(messages);
    }

    /** Starts reading a segment. */
    public void subscribe(Subscribe subscribe) {
        send(ReadRequest.newBuilder().setSubscribe(subscribe).build());
    }

    /** Lets the gateway send {@code bytes} more of a subscription. */
    public void credit(int subscription, long bytes) {
        send(ReadRequest.newBuilder().setCredit(Credit.newBuilder().setSubscription(subscription).setBytes(bytes)).build());
    }

    /** Stops a subscription until {@link #resume}; what is under way still arrives. */
    public void pause(int subscription) {
        send(ReadRequest.newBuilder().setPause(Pause.newBuilder().setSubscription(subscription)).build());
    }

    /** Goes on. */
    public void resume(int subscription) {
        send(ReadRequest.newBuilder().setResume(Resume.newBuilder().setSubscription(subscription)).build());
    }

    /** Ends a subscription; what is under way still arrives and is to be dropped. */
    public void unsubscribe(int subscription) {
        send(ReadRequest.newBuilder().setUnsubscribe(Unsubscribe.newBuilder().setSubscription(subscription)).build());
    }

    private void send(ReadRequest request) {
        synchronized (lock) {
            if (!closed) {
                call.sendMessage(request);
            }
        }
    }

    /** Ends the call. */
    @Override
    public void close() {
        synchronized (lock) {
            if (!closed) {
                closed = true;
                call.cancel("closed by the reader", null);
            }
        }
    }

    private final class Answers extends ClientCall.Listener<ReadResponse> {
        private final Listener listener;

        Answers(Listener listener) {
            this.listener = listener;
        }

        @Override
        public void onMessage(ReadResponse answer) {
            switch (answer.getEventCase()) {
                case EVENTS:
                    listener.onEvents(answer.getEvents());
                    break;
                case TAIL:
                    listener.onTail(answer.getTail());
                    break;
                case END:
                    listener.onEnd(answer.getEnd());
                    break;
                default:
                    // A kind of a newer gateway; it sends none without being asked.
                    break;
            }
        }

        @Override
        public void onClose(Status status, Metadata trailers) {
            boolean mine;
            synchronized (lock) {
                mine = closed;
                closed = true;
            }
            Status why = status.isOk() ? Status.UNAVAILABLE.withDescription("the gateway ended the call") : status;
            channel.shutdown();
            listener.onClosed(mine ? null : Errors.of(why, trailers, "Reader/Read", endpoint));
        }
    }
}
