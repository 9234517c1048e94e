package io.sluice.flink.source.reader;

import io.sluice.flink.client.ReadStream;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.flink.source.NonRecoverableSourceException;
import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.proto.gateway.v1.End;
import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorDetail;
import io.sluice.proto.gateway.v1.Events;
import io.sluice.proto.gateway.v1.Subscribe;
import io.sluice.proto.gateway.v1.Tail;
import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import javax.annotation.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The {@link Subscriptions} of one reader over one Read call, kept up over gateway restarts: a broken call is opened again, with
 * backoff, from the offsets that have arrived, until a deadline.
 *
 * <p>Memory is bounded by a {@link ReadBudget}: whatever the number of segments, about twice the budget is held at most.
 *
 * <p>Thread safe; what stands in {@link Subscriptions} and {@link Subscription} is guarded by the lock in here.
 */
final class ReadSession<T> {
    private static final Logger LOG = LoggerFactory.getLogger(ReadSession.class);

    private final SluiceClient client;
    private final ReadBudget budget;
    private final Duration reconnectTimeout;
    private final Reconnection reconnection;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Subscriptions<T> subscriptions;

    @Nullable private ReadStream call;
    @Nullable private CallListener listener;
    @Nullable private Throwable failure;
    private boolean wokenUp;
    private boolean closed;

    ReadSession(SluiceClient client, long budgetBytes, Duration reconnectTimeout, PendingEvents pending) {
        this.client = client;
        this.budget = new ReadBudget(budgetBytes);
        this.reconnectTimeout = reconnectTimeout;
        this.subscriptions = new Subscriptions<>(budget, pending);
        this.reconnection = new Reconnection(reconnectTimeout);
    }

    // ---- the fetcher's thread

    /** Takes splits; each is read once {@link #setColumns} told its columns. */
    void add(Collection<SluiceSplit> splits) {
        locked(() -> splits.forEach(subscriptions::add));
    }

    /** Forgets splits; what arrived of them is dropped. */
    void remove(Collection<SluiceSplit> splits) {
        locked(() -> {
            for (SluiceSplit split : splits) {
                Subscription<T> subscription = subscriptions.of(split);
                if (subscription != null) {
                    if (subscription.id >= 0 && call != null) {
                        call.unsubscribe(subscription.id);
                    }
                    subscriptions.remove(subscription);
                }
            }
            askForMore();
        });
    }

    /** Splits that wait for {@link #setColumns}. */
    List<SluiceSplit> withoutColumns() {
        lock.lock();
        try {
            return subscriptions.withoutColumns();
        } finally {
            lock.unlock();
        }
    }

    /** Which columns to ask for of a split; empty: all. */
    void setColumns(SluiceSplit split, int[] columns) {
        locked(() -> {
            Subscription<T> subscription = subscriptions.of(split);
            if (subscription != null) {
                subscription.columns = columns;
            }
        });
    }

    /** A call for columns failed; {@link #await} says when to try again, or fails if it is for good. */
    void failed(SluiceException cause) {
        locked(() -> noteFailure(cause));
    }

    /**
     * Waits until there are rows to hand over, a split is read to its end or columns are to be asked for again, keeping the call up
     * meanwhile.
     *
     * @param rowsWanted whether rows end the waiting
     * @param maxNanos how long to wait at most
     * @return false if {@link #wakeUp} ended it
     * @throws IOException if reading failed for good
     */
    boolean await(boolean rowsWanted, long maxNanos) throws IOException, InterruptedException {
        lock.lock();
        try {
            long start = System.nanoTime();
            while (true) {
                if (wokenUp || closed) {
                    wokenUp = false;
                    return false;
                }
                throwFailure();
                long now = System.nanoTime();
                long wait = Math.min(connect(now), maxNanos == Long.MAX_VALUE ? maxNanos : maxNanos - (now - start));
                if (failure == null && (wait <= 0 || subscriptions.hasWork(rowsWanted))) {
                    return true;
                }
                if (failure == null) {
                    changed.awaitNanos(wait);
                }
            }
        } finally {
            lock.unlock();
        }
    }

    /** The next subscription with rows, in turn, its {@code head} set; null: none has. */
    @Nullable
    Subscription<T> nextWithRows() {
        lock.lock();
        try {
            return subscriptions.nextWithRows();
        } finally {
            lock.unlock();
        }
    }

    /** Rows of a head block are on their way to the task. */
    void handedOver(BlockSlice<T> slice) {
        locked(() -> subscriptions.handedOver(slice));
    }

    /** Takes out the splits of which everything is handed over; answers their ids. */
    Set<String> removeDrained() {
        lock.lock();
        try {
            return subscriptions.removeDrained();
        } finally {
            lock.unlock();
        }
    }

    /** Pauses and resumes splits; ones that are not known (any more) are ignored. */
    void pauseOrResume(Collection<SluiceSplit> toPause, Collection<SluiceSplit> toResume) {
        locked(() -> {
            toPause.forEach(split -> setPaused(split, true));
            toResume.forEach(split -> setPaused(split, false));
            askForMore();
        });
    }

    private void setPaused(SluiceSplit split, boolean paused) {
        Subscription<T> subscription = subscriptions.of(split);
        if (subscription == null || subscription.paused == paused) {
            return;
        }
        subscriptions.setPaused(subscription, paused);
        if (subscription.id >= 0 && call != null) {
            if (paused) {
                call.pause(subscription.id);
            } else {
                call.resume(subscription.id);
            }
        }
    }

    /** Opens the call and subscriptions as far as they are missing; answers how long until the next try, in nanoseconds. */
    private long connect(long now) {
        if (call == null) {
            if (subscriptions.count() == 0) {
                return Long.MAX_VALUE;
            }
            long delay = reconnection.delay(now);
            if (delay > 0) {
                return delay;
            }
            listener = new CallListener();
            budget.callOpened();
            call = client.read(listener, ReadBudget.MESSAGES_AHEAD);
        }
        long wait = Long.MAX_VALUE;
        for (Subscription<T> subscription : subscriptions.all()) {
            if (subscription.columns == null) {
                wait = Math.min(wait, reconnection.delay(now));
            } else if (subscription.id < 0 && !subscription.complete && !subscription.paused) {
                long retryIn = subscription.failed ? subscription.retryAt - now : 0;
                if (retryIn > 0) {
                    wait = Math.min(wait, retryIn);
                } else {
                    subscribe(subscription);
                }
            }
        }
        return wait;
    }

    private void subscribe(Subscription<T> subscription) {
        SluiceSplit split = subscription.split();
        subscriptions.number(subscription);
        subscription.window = budget.windowBytes(subscriptions.count());
        Subscribe.Builder subscribe = Subscribe.newBuilder()
                .setSubscription(subscription.id)
                .setStreamId(split.streamId())
                .setSegment(split.segment())
                .setFromOffset(subscription.nextArrival)
                .setCreditBytes(subscription.window);
        split.end().ifPresent(subscribe::setEndOffset);
        for (int column : subscription.columns) {
            subscribe.addColumns(column);
        }
        call.subscribe(subscribe.build());
    }

    private void throwFailure() throws IOException {
        if (failure instanceof NonRecoverableSourceException) {
            throw new NonRecoverableSourceException(failure.getMessage(), failure);
        }
        if (failure != null) {
            throw new IOException(failure.getMessage(), failure);
        }
    }

    // ---- any thread

    /** Ends a waiting {@link #await}, or the next one. */
    void wakeUp() {
        locked(() -> wokenUp = true);
    }

    /** The last rows of a block are emitted: its memory is free, the gateway may send more. */
    void release(BlockSlice<T> slice) {
        locked(() -> {
            Subscription<T> subscription = slice.subscription();
            subscriptions.free(subscription, slice.events());
            returnCredit(subscription, slice.events());
            askForMore();
        });
    }

    private void returnCredit(Subscription<T> subscription, Events events) {
        if (call == null || subscription.id != events.getSubscription()) {
            return;
        }
        subscription.window -= events.getBlock().getData().size();
        long target = budget.windowBytes(subscriptions.count());
        long more = target - subscription.window;
        // A quarter at once: small blocks don't cost a message each, and what is left still lets a block through.
        if (more * 4 >= target) {
            call.credit(subscription.id, more);
            subscription.window = target;
        }
    }

    private void askForMore() {
        int due = call == null ? 0 : budget.takeMessagesDue();
        if (due > 0) {
            call.request(due);
        }
    }

    /** Ends the call. */
    void close() {
        locked(() -> {
            closed = true;
            if (call != null) {
                call.close();
                call = null;
            }
        });
    }

    private void locked(Runnable change) {
        lock.lock();
        try {
            change.run();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    // ---- the connection's thread

    /** What arrives on one call; nothing once another call has taken its place. */
    private final class CallListener implements ReadStream.Listener {
        @Override
        public void onEvents(Events events) {
            onMessage(() -> {
                Subscription<T> subscription = subscriptions.numbered(events.getSubscription());
                if (subscription != null && !subscription.complete) {
                    arrived(subscription, events);
                }
            });
        }

        @Override
        public void onTail(Tail tail) {
            onMessage(() -> {
                Subscription<T> subscription = subscriptions.numbered(tail.getSubscription());
                if (subscription != null) {
                    subscription.progress.reaches(tail.getNextOffset());
                }
            });
        }

        @Override
        public void onEnd(End end) {
            onMessage(() -> {
                Subscription<T> subscription = subscriptions.ended(end.getSubscription());
                if (subscription != null && !subscription.complete) {
                    ended(subscription, end);
                }
            });
        }

        @Override
        public void onClosed(@Nullable SluiceException cause) {
            locked(() -> {
                if (listener == this && !closed && failure == null) {
                    lost(cause);
                }
            });
        }

        private void onMessage(Runnable message) {
            locked(() -> {
                if (listener == this && !closed && failure == null) {
                    reconnection.succeeded();
                    budget.messageArrived();
                    message.run();
                    askForMore();
                }
            });
        }
    }

    private void arrived(Subscription<T> subscription, Events events) {
        long first = events.getBaseOffset();
        long next = first + events.getBlock().getRows();
        subscription.failed = false;
        subscription.progress.reaches(events.getNextOffset());
        if (first > subscription.nextArrival) {
            failure = new IOException("the gateway at " + client.endpoint() + " sent offset " + first + " of " + subscription.splitId()
                    + " where offset " + subscription.nextArrival + " was due; the reader refuses to skip events");
            return;
        }
        if (next <= subscription.nextArrival) {
            returnCredit(subscription, events);
            return;
        }
        subscriptions.keep(subscription, events);
    }

    private void ended(Subscription<T> subscription, End end) {
        if (end.getWhyCase() != End.WhyCase.ERROR) {
            subscription.complete = true;
            return;
        }
        ErrorDetail error = end.getError();
        if (error.getClass_() == ErrorClass.RETRIABLE) {
            long now = System.nanoTime();
            if (!reconnection.failed(now)) {
                failure = unreachable(end.getMessage(), null);
            }
            subscription.failed = true;
            subscription.retryAt = now + reconnection.delay(now);
            return;
        }
        failure = SubscriptionFailures.describe(subscription.split(), subscription.nextArrival, error, end.getMessage());
    }

    private void lost(@Nullable SluiceException cause) {
        call = null;
        listener = null;
        subscriptions.callLost();
        noteFailure(cause);
    }

    private void noteFailure(@Nullable SluiceException cause) {
        String why = cause == null ? "the call ended" : cause.getMessage();
        if (cause != null && !cause.retriable()) {
            failure = cause;
        } else if (!reconnection.failed(System.nanoTime())) {
            failure = unreachable(why, cause);
        } else {
            LOG.info("Reading from the gateway at {} was interrupted ({}); trying again", client.endpoint(), why);
        }
    }

    private IOException unreachable(String why, @Nullable Throwable cause) {
        return new IOException("the gateway at " + client.endpoint() + " could not be read from for " + reconnectTimeout.toSeconds()
                + " s (" + why + "): check that it runs and can be reached from the TaskManagers", cause);
    }
}
