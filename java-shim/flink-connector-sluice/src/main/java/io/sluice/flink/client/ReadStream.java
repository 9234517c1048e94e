package io.sluice.flink.client;

import io.sluice.proto.gateway.v1.End;
import io.sluice.proto.gateway.v1.Events;
import io.sluice.proto.gateway.v1.Subscribe;
import io.sluice.proto.gateway.v1.Tail;
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
        /** A block. Its {@code data} may be unwrapped without a copy by {@link io.sluice.flink.data.BlockReader}. */
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

    ReadStream() {}

    /** Starts reading a segment. */
    public void subscribe(Subscribe subscribe) {}

    /** Lets the gateway send {@code bytes} more of a subscription. */
    public void credit(int subscription, long bytes) {}

    /** Stops a subscription until {@link #resume}; what is under way still arrives. */
    public void pause(int subscription) {}

    /** Goes on. */
    public void resume(int subscription) {}

    /** Ends a subscription; what is under way still arrives and is to be dropped. */
    public void unsubscribe(int subscription) {}

    /** Ends the call. */
    @Override
    public void close() {}
}
