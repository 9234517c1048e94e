package io.sluice.flink.client;

import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.AdaptiveRecvByteBufAllocator;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import io.sluice.proto.gateway.v1.RequestId;
import org.apache.flink.annotation.Internal;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

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

    private static final Logger LOG = LoggerFactory.getLogger(SluiceClient.class);
    private static final Duration ATTEMPT_TIMEOUT = Duration.ofSeconds(30);
    private static final int DATA_CHANNELS = 2;
    private static final int MAX_MESSAGE_BYTES = 16 << 20;
    private static final int WINDOW_BYTES = 8 << 20;
    /** Bytes taken from a connection at once, at most. */
    private static final int READ_BYTES = 512 << 10;
    private static final Map<String, SluiceClient> SHARED = new HashMap<>();

    private final String endpoint;
    private final URI address;
    private final ManagedChannel control;
    private final ManagedChannel[] data = new ManagedChannel[DATA_CHANNELS];
    private final AtomicInteger nextData = new AtomicInteger();
    private final ByteString session = Ids.bytes(UUID.randomUUID());
    private final AtomicLong requests = new AtomicLong();
    private int references;

    private SluiceClient(String endpoint, URI address) {
        this.endpoint = endpoint;
        this.address = address;
        this.control = channel(address);
        for (int i = 0; i < DATA_CHANNELS; i++) {
            data[i] = channel(address);
        }
    }

    /**
     * The shared client of an endpoint: {@code host:port} or {@code http://host:port}. Connects lazily, so it succeeds
     * while the gateway is down.
     *
     * @throws IllegalArgumentException if the endpoint is malformed
     */
    public static SluiceClient acquire(String endpoint) {
        URI address = parse(endpoint);
        synchronized (SHARED) {
            SluiceClient client = SHARED.computeIfAbsent(address.getAuthority(), key -> new SluiceClient(key, address));
            client.references++;
            return client;
        }
    }

    /** Fails as {@link #acquire} does if the endpoint is malformed. */
    public static void checkEndpoint(String endpoint) {
        parse(endpoint);
    }

    private static URI parse(String endpoint) {
        String hint = "endpoint '" + endpoint + "' is malformed: write it as host:port or http://host:port";
        if (endpoint == null || endpoint.isBlank()) {
            throw new IllegalArgumentException(hint);
        }
        String text = endpoint.trim();
        URI address;
        try {
            address = new URI(text.contains("://") ? text : "http://" + text);
        } catch (URISyntaxException e) {
            throw new IllegalArgumentException(hint, e);
        }
        if ("https".equals(address.getScheme())) {
            throw new IllegalArgumentException("endpoint '" + endpoint + "': this version speaks no TLS; use http://");
        }
        String path = address.getPath();
        boolean bare = path == null || path.isEmpty() || path.equals("/");
        if (!"http".equals(address.getScheme()) || address.getHost() == null || address.getPort() < 1
                || address.getPort() > 65_535 || address.getUserInfo() != null || !bare) {
            throw new IllegalArgumentException(hint);
        }
        return address;
    }

    private static ManagedChannel channel(URI address) {
        NettyChannelBuilder channel = NettyChannelBuilder.forAddress(address.getHost().replaceAll("[\\[\\]]", ""), address.getPort())
                .usePlaintext()
                // gRPC's own retry keeps what was sent and hides how far a call got; retries are ours.
                .disableRetry()
                .maxInboundMessageSize(MAX_MESSAGE_BYTES)
                .initialFlowControlWindow(WINDOW_BYTES)
                .withOption(ChannelOption.RCVBUF_ALLOCATOR, new AdaptiveRecvByteBufAllocator(2048, READ_BYTES / 4, READ_BYTES))
                .keepAliveTime(30, TimeUnit.SECONDS)
                .keepAliveTimeout(20, TimeUnit.SECONDS);
        LargeFrames.allow(channel);
        return channel.build();
    }

    /** The endpoint as {@code host:port}. */
    public String endpoint() {
        return endpoint;
    }

    /** A new identity for a control call that asks for one; put it into the request before {@link #call}. */
    public RequestId nextRequestId() {
        return RequestId.newBuilder().setSessionId(session).setRequestSeq(requests.incrementAndGet()).build();
    }

    /**
     * Calls and waits, with retries of RETRIABLE failures (gateway down, restarting, overloaded), with jitter, until
     * {@code timeout}; then throws the last failure with a message that names the endpoint.
     */
    public <Q extends Message, A extends Message> A call(Rpc<Q, A> rpc, Q request, Duration timeout)
            throws SluiceException, InterruptedException {
        Backoff backoff = new Backoff(timeout);
        boolean told = false;
        while (true) {
            long attempt = Math.min(ATTEMPT_TIMEOUT.toNanos(), Math.max(backoff.remainingNanos(), 1_000_000L));
            try {
                return callOnce(rpc, request, Duration.ofNanos(attempt));
            } catch (SluiceException e) {
                if (!e.retriable()) {
                    throw e;
                }
                if (backoff.expired()) {
                    throw gaveUp(e, timeout);
                }
                if (!told) {
                    LOG.info("{}; repeating it for at most {} ms", e.getMessage(), timeout.toMillis());
                    told = true;
                }
                backoff.sleep();
                control.resetConnectBackoff();
            }
        }
    }

    /** {@link #call} with {@link #CALL_TIMEOUT}. */
    public <Q extends Message, A extends Message> A call(Rpc<Q, A> rpc, Q request)
            throws SluiceException, InterruptedException {
        return call(rpc, request, CALL_TIMEOUT);
    }

    /** One attempt. Interruptible; an interrupted call is cancelled, its effect unknown. */
    public <Q extends Message, A extends Message> A callOnce(Rpc<Q, A> rpc, Q request, Duration timeout)
            throws SluiceException, InterruptedException {
        CompletableFuture<A> answer = callAsync(rpc, request, timeout);
        try {
            return answer.get();
        } catch (InterruptedException e) {
            answer.cancel(true);
            throw e;
        } catch (ExecutionException e) {
            throw Errors.of(e.getCause(), rpc.name(), endpoint);
        }
    }

    /** One attempt, without waiting or retries; fails with a {@link SluiceException}. For threads that must not block. */
    public <Q extends Message, A extends Message> CompletableFuture<A> callAsync(
            Rpc<Q, A> rpc, Q request, Duration timeout) {
        CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(timeout.toNanos(), TimeUnit.NANOSECONDS);
        ClientCall<Q, A> call = control.newCall(rpc.method(), options);
        CompletableFuture<A> future = new CompletableFuture<>();
        future.whenComplete(
                (answer, failure) -> {
                    if (future.isCancelled()) {
                        call.cancel("not waited for any more", null);
                    }
                });
        call.start(new UnaryListener<>(future, rpc.name()), new Metadata());
        call.request(2);
        call.sendMessage(request);
        call.halfClose();
        return future;
    }

    /**
     * Starts a read call; see {@link ReadStream}. It has a connection of its own: one that is not asked for more messages
     * fills its connection's window, and must not hold up the acknowledgements of appends.
     *
     * @param messages how many messages may arrive before {@link ReadStream#request} asks for more
     */
    public ReadStream read(ReadStream.Listener listener, int messages) {
        return new ReadStream(channel(address), endpoint, listener, messages);
    }

    /** The data channels take turns. */
    Channel nextDataChannel() {
        ManagedChannel channel = data[Math.floorMod(nextData.getAndIncrement(), DATA_CHANNELS)];
        // A channel that failed waits up to minutes before it tries again; who asks now wants to know now.
        channel.resetConnectBackoff();
        return channel;
    }

    private SluiceException gaveUp(SluiceException last, Duration timeout) {
        String message =
                last.getMessage() + "; gave up after " + timeout.toMillis() + " ms. Is the gateway running and reachable at "
                        + endpoint + "?";
        return new SluiceException(message, last.detail(), last);
    }

    /** Gives up this reference. One close per {@link #acquire}. */
    @Override
    public void close() {
        synchronized (SHARED) {
            if (--references > 0) {
                return;
            }
            SHARED.remove(endpoint, this);
        }
        control.shutdownNow();
        for (ManagedChannel channel : data) {
            channel.shutdownNow();
        }
        try {
            // Threads of the channels must not outlive the job's class loader.
            control.awaitTermination(2, TimeUnit.SECONDS);
            for (ManagedChannel channel : data) {
                channel.awaitTermination(2, TimeUnit.SECONDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private final class UnaryListener<A> extends ClientCall.Listener<A> {
        private final CompletableFuture<A> future;
        private final String name;
        private A answer;

        UnaryListener(CompletableFuture<A> future, String name) {
            this.future = future;
            this.name = name;
        }

        @Override
        public void onMessage(A message) {
            answer = message;
        }

        @Override
        public void onClose(Status status, Metadata trailers) {
            if (status.isOk() && answer != null) {
                future.complete(answer);
            } else if (status.isOk()) {
                future.completeExceptionally(
                        Errors.of(Status.UNAVAILABLE.withDescription("no message"), trailers, name, endpoint));
            } else {
                future.completeExceptionally(Errors.of(status, trailers, name, endpoint));
            }
        }
    }
}
