package io.sluice.flink.source.reader;

import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.proto.gateway.v1.Events;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.annotation.Nullable;

/**
 * The subscriptions of a {@link ReadSession} and the blocks that arrived for them: whose turn it is to hand over, what is handed over,
 * how much memory is held. Knows no connection. Guarded by the session's lock.
 */
final class Subscriptions<T> {
    private final ReadBudget budget;
    private final PendingEvents pending;

    /** By split id. */
    private final Map<String, Subscription<T>> bySplit = new LinkedHashMap<>();
    /** By number on the present call. */
    private final Map<Integer, Subscription<T>> byNumber = new HashMap<>();
    /** Whose turn it is to hand over a block. */
    private final ArrayDeque<Subscription<T>> turns = new ArrayDeque<>();

    private int nextNumber;

    Subscriptions(ReadBudget budget, PendingEvents pending) {
        this.budget = budget;
        this.pending = pending;
    }

    void add(SluiceSplit split) {
        Subscription<T> subscription = new Subscription<>(split, pending.of(split));
        subscription.complete = split.isFinished();
        bySplit.put(split.splitId(), subscription);
        turns.add(subscription);
    }

    /** Forgets a subscription; what arrived of it is dropped. */
    void remove(Subscription<T> subscription) {
        bySplit.remove(subscription.splitId());
        turns.remove(subscription);
        byNumber.remove(subscription.id);
        subscription.id = -1;
        for (Events events : subscription.arrived) {
            free(subscription, events);
        }
        subscription.arrived.clear();
        if (subscription.head != null) {
            free(subscription, subscription.head);
            subscription.head = null;
        }
    }

    /** The subscription of a split; null: not known (any more). */
    @Nullable
    Subscription<T> of(SluiceSplit split) {
        return bySplit.get(split.splitId());
    }

    Collection<Subscription<T>> all() {
        return bySplit.values();
    }

    int count() {
        return bySplit.size();
    }

    /** Splits whose columns are not known yet. */
    List<SluiceSplit> withoutColumns() {
        List<SluiceSplit> waiting = new ArrayList<>();
        for (Subscription<T> subscription : bySplit.values()) {
            if (subscription.columns == null) {
                waiting.add(subscription.split());
            }
        }
        return waiting;
    }

    // ---- the present call

    /** Gives a subscription a number on the present call. */
    void number(Subscription<T> subscription) {
        subscription.id = nextNumber++;
        byNumber.put(subscription.id, subscription);
    }

    /** The subscription of a number on the present call; null: none (any more). */
    @Nullable
    Subscription<T> numbered(int number) {
        return byNumber.get(number);
    }

    /** Takes a number back; null: nobody had it. */
    @Nullable
    Subscription<T> ended(int number) {
        Subscription<T> subscription = byNumber.remove(number);
        if (subscription != null) {
            subscription.id = -1;
        }
        return subscription;
    }

    /** The call is gone, and all numbers with it. */
    void callLost() {
        byNumber.clear();
        bySplit.values().forEach(subscription -> subscription.id = -1);
    }

    // ---- handing over

    /** Whether there is something to do: a split read to its end, or rows if those are wanted. */
    boolean hasWork(boolean rowsWanted) {
        for (Subscription<T> subscription : bySplit.values()) {
            if (subscription.isDrained() || (rowsWanted && subscription.hasRows())) {
                return true;
            }
        }
        return false;
    }

    /** The next subscription with rows, in turn, its {@code head} set; null: none has. */
    @Nullable
    Subscription<T> nextWithRows() {
        for (int i = turns.size(); i > 0; i--) {
            Subscription<T> subscription = turns.poll();
            turns.add(subscription);
            if (subscription.hasRows()) {
                if (subscription.head == null) {
                    subscription.head = subscription.arrived.poll();
                }
                return subscription;
            }
        }
        return null;
    }

    /** Rows of a head block are on their way to the task. */
    void handedOver(BlockSlice<T> slice) {
        Subscription<T> subscription = slice.subscription();
        subscription.nextHandover = slice.baseOffset() + slice.to();
        if (slice.isLastOfBlock()) {
            subscription.head = null;
            subscription.openHead = null;
        }
    }

    /** Takes out the splits of which everything is handed over; answers their ids. */
    Set<String> removeDrained() {
        Set<String> finished = new HashSet<>();
        for (Subscription<T> subscription : new ArrayList<>(bySplit.values())) {
            if (subscription.isDrained()) {
                finished.add(subscription.splitId());
                remove(subscription);
            }
        }
        return finished;
    }

    // ---- memory

    /** Keeps a block that reaches beyond what has arrived. */
    void keep(Subscription<T> subscription, Events events) {
        subscription.take(events);
        if (!subscription.paused) {
            budget.hold(Subscription.cost(events));
        }
    }

    /** A block is emitted or dropped. */
    void free(Subscription<T> subscription, Events events) {
        long cost = Subscription.cost(events);
        subscription.held -= cost;
        if (!subscription.paused) {
            budget.free(cost);
        }
    }

    /** Blocks of a paused split don't count, because nobody empties them. */
    void setPaused(Subscription<T> subscription, boolean paused) {
        subscription.paused = paused;
        if (paused) {
            budget.free(subscription.held);
        } else {
            budget.hold(subscription.held);
        }
    }
}
