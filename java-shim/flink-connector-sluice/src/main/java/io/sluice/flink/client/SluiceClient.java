package io.sluice.flink.client;

import com.google.protobuf.Message;
import io.sluice.proto.gateway.v1.RequestId;
import org.apache.flink.annotation.Internal;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/**
 * Connections to one gateway, shared by everything in this JVM that names the same endpoint: one control channel, so
 * that a commit never waits behind data or a stalled reader, and a few data channels.
 *
 * <p>Thread safe. {@link #acquire} and {@link #close} count references; the last close ends the connections.
 */
@Internal
public final class SluiceClient implements AutoCloseable {

    /** How long control calls retry where nothing else is said. */
    public static final Duration CALL_TIMEOUT = Duration.ofMinutes(1);

    private SluiceClient() {}

    /**
     * The shared client of an endpoint: {@code host:port} or {@code http://host:port}. Connects lazily, so it succeeds
     * while the gateway is down.
     *
     * @throws IllegalArgumentException if the endpoint is malformed
     */
    public static SluiceClient acquire(String endpoint) {
        throw new UnsupportedOperationException(endpoint);
    }

    /** The endpoint as it was given. */
    public String endpoint() {
        throw new UnsupportedOperationException();
    }

    /** A new identity for a control call that asks for one; put it into the request before {@link #call}. */
    public RequestId nextRequestId() {
        throw new UnsupportedOperationException();
    }

    /**
     * Calls and waits, with retries of RETRIABLE failures (gateway down, restarting, overloaded), with jitter, until
     * {@code timeout}; then throws the last failure with a message that names the endpoint.
     */
    public <Q extends Message, A extends Message> A call(Rpc<Q, A> rpc, Q request, Duration timeout)
            throws SluiceException, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /** {@link #call} with {@link #CALL_TIMEOUT}. */
    public <Q extends Message, A extends Message> A call(Rpc<Q, A> rpc, Q request)
            throws SluiceException, InterruptedException {
        return call(rpc, request, CALL_TIMEOUT);
    }

    /** One attempt, without waiting or retries; fails with a {@link SluiceException}. For threads that must not block. */
    public <Q extends Message, A extends Message> CompletableFuture<A> callAsync(
            Rpc<Q, A> rpc, Q request, Duration timeout) {
        throw new UnsupportedOperationException();
    }

    /** Starts a read call on a data channel; see {@link ReadStream}. */
    public ReadStream read(ReadStream.Listener listener) {
        throw new UnsupportedOperationException();
    }

    /** Gives up this reference. Idempotence is the holder's job: one close per {@link #acquire}. */
    @Override
    public void close() {}
}
