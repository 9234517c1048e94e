package io.sluice.flink.client;

import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorReason;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.function.BooleanSupplier;

/**
 * A pipelined append call that survives a gateway restart: requests are sent as the transport takes them, kept until they
 * are safe, and sent again on a new call from where the gateway says it stands.
 *
 * <p>One thread (the task's) adds and waits; it also reconnects, so nothing happens behind its back. Answers arrive on a
 * thread of the connection. What both touch is guarded by {@link #lock}, held only for bookkeeping and hand-over.
 */
abstract class ResumableAppend<A extends Message> implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(ResumableAppend.class);

    /** Requests sent and not answered; more and the adding thread waits. */
    private static final long UNANSWERED_BYTES_MAX = 8 << 20;
    /** gRPC's readiness threshold, about two blocks: its default of 32 KiB starves a call of blocks. */
    private static final int READY_BYTES = 2 << 20;

    /** One request, covering sequences {@code [first, end)}. */
    static final class Entry {
        final long first;
        final long end;
        final EncodedRequest request;

        Entry(long first, long end, EncodedRequest request) {
            this.first = first;
            this.end = end;
            this.request = request;
        }
    }

    final Object lock = new Object();
    final SluiceClient client;
    private final String what;
    private final MethodDescriptor<EncodedRequest, A> method;
    private final Duration timeout;
    private final long heldBytesMax;

    private final ArrayDeque<Entry> held = new ArrayDeque<>();
    private final ArrayDeque<Entry> unanswered = new ArrayDeque<>();
    private final ArrayDeque<Entry> unsent = new ArrayDeque<>();
    private long heldBytes;
    private long unansweredBytes;
    private long answered;
    private long safe;

    private ClientCall<EncodedRequest, A> call;
    private SluiceException broken;
    private SluiceException failure;
    private Backoff recovery;

    /**
     * @param timeout how long a gateway that is away is waited for
     * @param heldBytesMax bytes kept of requests that are answered but not yet safe; older ones are let go above it
     */
    ResumableAppend(
            SluiceClient client, String what, MethodDescriptor<EncodedRequest, A> method, Duration timeout, long heldBytesMax) {
        this.client = client;
        this.what = what;
        this.method = method;
        this.timeout = timeout;
        this.heldBytesMax = heldBytesMax;
    }

    /** Handles an answer under the lock: calls {@link #answeredTo}. */
    abstract void onAnswer(A answer);

    /**
     * Asks the gateway, in one attempt, from which sequence on it wants requests. Runs on the adding thread without the
     * lock.
     */
    abstract long whereToResume() throws SluiceException, InterruptedException;

    /** Starts over at a sequence, nothing held. */
    final void restartAt(long sequence) {
        synchronized (lock) {
            held.clear();
            unanswered.clear();
            unsent.clear();
            heldBytes = 0;
            unansweredBytes = 0;
            answered = sequence;
            safe = sequence;
            if (broken != null) {
                broken = null;
                call = null;
            }
        }
    }

    /** Sequence of the oldest request still held, or where the next one would start. */
    final long heldFrom(long next) {
        synchronized (lock) {
            return held.isEmpty() ? next : held.peekFirst().first;
        }
    }

    /** Queues a request; waits while too much is unanswered. */
    final void add(Entry entry) throws SluiceException, InterruptedException {
        synchronized (lock) {
            held.add(entry);
            unanswered.add(entry);
            unsent.add(entry);
            heldBytes += entry.request.length();
            unansweredBytes += entry.request.length();
            if (call == null && broken == null && failure == null) {
                open();
            }
            pump();
        }
        await(() -> unansweredBytes <= UNANSWERED_BYTES_MAX);
    }

    /** Waits until everything is answered. */
    final void awaitAnswers() throws SluiceException, InterruptedException {
        await(() -> unansweredBytes == 0);
    }

    /** Drops the call and goes on from where the gateway stands, also when nothing is known to be wrong. */
    final void resume() throws SluiceException, InterruptedException {
        synchronized (lock) {
            if (call != null) {
                call.cancel("resuming", null);
                call = null;
            }
        }
        reconnect();
    }

    private void await(BooleanSupplier done) throws SluiceException, InterruptedException {
        while (true) {
            synchronized (lock) {
                while (failure == null && broken == null && !done.getAsBoolean()) {
                    lock.wait();
                }
                if (failure != null) {
                    throw failure;
                }
                if (broken == null || unansweredBytes == 0) {
                    return;
                }
            }
            reconnect();
        }
    }

    private void reconnect() throws SluiceException, InterruptedException {
        SluiceException cause;
        Backoff backoff;
        boolean pause;
        synchronized (lock) {
            cause = broken;
            // Kept until an answer arrives: a call that breaks at once, again and again, must run into the deadline too.
            pause = recovery != null;
            recovery = pause ? recovery : new Backoff(timeout);
            backoff = recovery;
        }
        if (cause != null && !pause) {
            LOG.info("{}: the connection to {} broke, reconnecting", what, client.endpoint(), cause);
        }
        while (true) {
            if (pause) {
                if (cause != null && backoff.expired()) {
                    throw fail(gaveUp(cause));
                }
                backoff.sleep();
            }
            try {
                long from = whereToResume();
                synchronized (lock) {
                    resendFrom(from);
                    open();
                    pump();
                    lock.notifyAll();
                }
                return;
            } catch (SluiceException e) {
                if (!e.retriable()) {
                    throw fail(e);
                }
                cause = e;
                pause = true;
            }
        }
    }

    private SluiceException gaveUp(SluiceException cause) {
        return new SluiceException(
                what + ": " + cause.getMessage() + "; gave up after " + timeout.toMillis() + " ms. Is the gateway running and reachable at "
                        + client.endpoint() + "?",
                cause.detail(),
                cause);
    }

    private SluiceException fail(SluiceException e) {
        synchronized (lock) {
            failure = e;
        }
        return e;
    }

    private void resendFrom(long from) throws SluiceException {
        unanswered.clear();
        unsent.clear();
        unansweredBytes = 0;
        long start = held.isEmpty() ? answered : held.peekFirst().first;
        if (from < start) {
            throw new SluiceException(
                    what + ": the gateway restarted and lost what was not yet durable (it has everything below " + from
                            + ", this writer holds what is from " + start + " on); the job goes back to its last checkpoint",
                    Errors.detail(ErrorClass.REJECTED, ErrorReason.TRANSACTION_ABORTED).toBuilder()
                            .setAbortReason("LOST_UNSYNCED")
                            .build(),
                    null);
        }
        for (Entry entry : held) {
            if (entry.end > from) {
                if (entry.first < from) {
                    throw new SluiceException(
                            ErrorClass.INTERNAL, ErrorReason.BUG, what + ": the gateway stands at " + from + ", inside a request");
                }
                unanswered.add(entry);
                unsent.add(entry);
                unansweredBytes += entry.request.length();
            }
        }
        answered = from;
    }

    private void open() {
        broken = null;
        ClientCall<EncodedRequest, A> opened =
                client.nextDataChannel().newCall(method, CallOptions.DEFAULT.withOnReadyThreshold(READY_BYTES));
        call = opened;
        opened.start(new Answers(opened), new Metadata());
        opened.request(Integer.MAX_VALUE);
    }

    private void pump() {
        while (call != null && !unsent.isEmpty() && call.isReady()) {
            call.sendMessage(unsent.poll().request);
        }
    }

    /** Under the lock: everything below {@code end} is accepted, everything below {@code safeEnd} need not be held. */
    final void answeredTo(long end, long safeEnd) {
        recovery = null;
        safe = Math.max(safe, safeEnd);
        answered = Math.max(answered, end);
        while (!unanswered.isEmpty() && unanswered.peekFirst().end <= answered) {
            unansweredBytes -= unanswered.pollFirst().request.length();
        }
        while (!held.isEmpty()
                && held.peekFirst().end <= answered
                && (held.peekFirst().end <= safe || heldBytes > heldBytesMax)) {
            heldBytes -= held.pollFirst().request.length();
        }
        lock.notifyAll();
    }

    @Override
    public void close() {
        synchronized (lock) {
            if (call != null) {
                call.cancel("closed", null);
                call = null;
            }
            failure = failure == null ? closed() : failure;
            held.clear();
            unanswered.clear();
            unsent.clear();
            lock.notifyAll();
        }
    }

    private SluiceException closed() {
        return new SluiceException(ErrorClass.CONFLICT, ErrorReason.BAD_REQUEST, what + " is closed");
    }

    private final class Answers extends ClientCall.Listener<A> {
        private final ClientCall<EncodedRequest, A> mine;

        Answers(ClientCall<EncodedRequest, A> mine) {
            this.mine = mine;
        }

        @Override
        public void onReady() {
            synchronized (lock) {
                if (call == mine) {
                    pump();
                }
            }
        }

        @Override
        public void onMessage(A answer) {
            synchronized (lock) {
                if (call == mine) {
                    onAnswer(answer);
                }
            }
        }

        @Override
        public void onClose(Status status, Metadata trailers) {
            SluiceException cause =
                    Errors.of(
                            status.isOk() ? Status.UNAVAILABLE.withDescription("the gateway ended the call") : status,
                            trailers,
                            what,
                            client.endpoint());
            synchronized (lock) {
                if (call != mine) {
                    return;
                }
                call = null;
                if (cause.retriable()) {
                    broken = cause;
                } else {
                    failure = cause;
                }
                lock.notifyAll();
            }
        }
    }
}
