package io.sluice.flink.sink.committer;

import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.proto.gateway.v1.CommitGroupResponse;
import org.apache.flink.annotation.Internal;
import org.apache.flink.annotation.VisibleForTesting;
import org.apache.flink.api.connector.sink2.Committer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Commits groups. Holds nothing: the right to commit is the group itself, so a committable may come at any time, from any
 * attempt of the job, any number of times. Runs on the task's thread; interruptible.
 */
@Internal
public final class GroupCommitter implements Committer<GroupCommittable> {

    private static final Logger LOG = LoggerFactory.getLogger(GroupCommitter.class);
    private static final Duration ATTEMPT_TIMEOUT = Duration.ofSeconds(30);
    private static final long FIRST_PAUSE_MS = 20;
    private static final long MAX_PAUSE_MS = 2_000;

    /** One attempt at a commit. */
    @VisibleForTesting
    interface Gateway extends AutoCloseable {
        CommitGroupResponse commit(GroupCommittable committable, Duration timeout)
                throws SluiceException, InterruptedException;

        @Override
        void close();
    }

    /** What an answer means for the committer. */
    enum Next {
        RETRY,
        REFUSED,
        FENCED
    }

    private final Gateway gateway;
    private final Duration timeout;
    private final long restoredCheckpoint;

    @VisibleForTesting
    GroupCommitter(Gateway gateway, Duration timeout, OptionalLong restoredCheckpoint) {
        this.gateway = gateway;
        this.timeout = timeout;
        this.restoredCheckpoint = restoredCheckpoint.orElse(-1);
    }

    /**
     * A committer over the shared client of an endpoint.
     *
     * @param timeout how long a commit is repeated while its outcome is not known
     * @param restoredCheckpoint the checkpoint the job was restored from, if it was
     */
    public static GroupCommitter open(String endpoint, Duration timeout, OptionalLong restoredCheckpoint) {
        SluiceClient client = SluiceClient.acquire(endpoint);
        Gateway gateway =
                new Gateway() {
                    @Override
                    public CommitGroupResponse commit(GroupCommittable committable, Duration attempt)
                            throws SluiceException, InterruptedException {
                        return client.callOnce(Rpc.COMMIT_GROUP, committable.request(), attempt);
                    }

                    @Override
                    public void close() {
                        client.close();
                    }
                };
        return new GroupCommitter(gateway, timeout, restoredCheckpoint);
    }

    @Override
    public void commit(Collection<CommitRequest<GroupCommittable>> requests) throws IOException, InterruptedException {
        List<CommitRequest<GroupCommittable>> ordered = new ArrayList<>(requests);
        ordered.sort(Comparator.comparingLong(request -> request.getCommittable().group.checkpoint));
        for (CommitRequest<GroupCommittable> request : ordered) {
            commit(request.getCommittable());
        }
    }

    private void commit(GroupCommittable committable) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + timeout.toNanos();
        long pause = FIRST_PAUSE_MS;
        while (true) {
            SluiceException failure;
            try {
                CommitGroupResponse answer = gateway.commit(committable, ATTEMPT_TIMEOUT);
                LOG.debug("committed {} as {}", committable, answer.getCommitSeq());
                if (answer.getSupersededEvents() > 0) {
                    LOG.info(
                            "{} superseded {} events that an earlier attempt had prepared and no checkpoint holds",
                            committable,
                            answer.getSupersededEvents());
                }
                return;
            } catch (SluiceException e) {
                failure = e;
            }
            switch (next(failure, committable.group.checkpoint <= restoredCheckpoint)) {
                case REFUSED:
                    throw new SinkRefusedException(
                            "the gateway refuses to commit " + committable + ": " + failure.getMessage(), failure);
                case FENCED:
                    throw new SinkFencedException(
                            "another job or attempt has taken the sink over, so " + committable + " is not committed: "
                                    + failure.getMessage(),
                            failure);
                case RETRY:
                    break;
            }
            long left = (deadline - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                throw new IOException(
                        committable + " could not be committed within sink.commit-timeout (" + timeout.toMillis() + " ms): "
                                + failure.getMessage(),
                        failure);
            }
            LOG.debug("the commit of {} will be repeated", committable, failure);
            Thread.sleep(Math.min(left, pause / 2 + ThreadLocalRandom.current().nextLong(pause / 2 + 1)));
            pause = Math.min(MAX_PAUSE_MS, pause * 2);
        }
    }

    /**
     * What to do after a failed attempt. Exhaustive; nothing is taken for committed that the gateway did not call so.
     *
     * @param restored whether the committable comes from restored state: the committer may be ahead of the aggregator's
     *     attach, which gives it its right back
     */
    @VisibleForTesting
    static Next next(SluiceException failure, boolean restored) {
        switch (failure.errorClass()) {
            case RETRIABLE: // unreachable, overloaded, or an earlier group is still on its way (OUT_OF_ORDER)
            case INTERNAL: // unknown outcome
            case ERROR_CLASS_UNSPECIFIED:
            case UNRECOGNIZED:
                return Next.RETRY;
            case FENCED:
                return restored ? Next.RETRY : Next.FENCED;
            case INVALID_ARGUMENT:
            case NOT_FOUND:
            case CONFLICT:
            case REJECTED:
            case CORRUPT:
                return Next.REFUSED;
        }
        throw new IllegalStateException("no such error class: " + failure.errorClass());
    }

    @Override
    public void close() {
        gateway.close();
    }
}
