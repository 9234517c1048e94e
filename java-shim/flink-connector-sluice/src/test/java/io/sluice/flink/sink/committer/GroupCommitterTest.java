package io.sluice.flink.sink.committer;

import io.sluice.flink.client.SluiceException;
import io.sluice.proto.gateway.v1.CommitGroupResponse;
import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorReason;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.runtime.throwable.ThrowableClassifier;
import org.apache.flink.runtime.throwable.ThrowableType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

/** Every answer of the gateway and what the committer makes of it. */
class GroupCommitterTest {

    private final Script gateway = new Script();

    @ParameterizedTest
    @EnumSource(ErrorClass.class)
    void everyClassHasOneMeaning(ErrorClass errorClass) {
        if (errorClass == ErrorClass.UNRECOGNIZED || errorClass == ErrorClass.ERROR_CLASS_UNSPECIFIED) {
            return;
        }
        SluiceException failure = failure(errorClass, ErrorReason.BUG);
        GroupCommitter.Next fresh = GroupCommitter.next(failure, false);
        GroupCommitter.Next restored = GroupCommitter.next(failure, true);
        switch (errorClass) {
            case RETRIABLE:
            case INTERNAL:
                assertThat(fresh).isEqualTo(restored).isEqualTo(GroupCommitter.Next.RETRY);
                break;
            case FENCED:
                assertThat(fresh).isEqualTo(GroupCommitter.Next.FENCED);
                assertThat(restored).isEqualTo(GroupCommitter.Next.RETRY);
                break;
            default:
                assertThat(fresh).isEqualTo(restored).isEqualTo(GroupCommitter.Next.REFUSED);
        }
    }

    @Test
    void whatIsRetriableIsRepeatedUntilItIsCommitted() throws Exception {
        gateway.then(failure(ErrorClass.RETRIABLE, ErrorReason.UNAVAILABLE))
                .then(failure(ErrorClass.RETRIABLE, ErrorReason.OUT_OF_ORDER))
                .then(failure(ErrorClass.INTERNAL, ErrorReason.BUG))
                .committed();
        committer(Duration.ofSeconds(30)).commit(List.of(request(1)));
        assertThat(gateway.calls).isEqualTo(4);
    }

    @Test
    void theTimeoutNamesWhatIsNotCommitted() {
        gateway.always(failure(ErrorClass.RETRIABLE, ErrorReason.UNAVAILABLE));
        assertThatThrownBy(() -> committer(Duration.ofMillis(200)).commit(List.of(request(3))))
                .isInstanceOf(IOException.class)
                .isNotInstanceOf(SinkRefusedException.class)
                .hasMessageContaining("of checkpoint 3")
                .hasMessageContaining("sink.commit-timeout");
        assertThat(gateway.calls).isGreaterThan(2);
    }

    @Test
    void aRefusalFailsTheJobForGood() {
        gateway.always(failure(ErrorClass.REJECTED, ErrorReason.TRANSACTION_ABORTED));
        assertThatThrownBy(() -> committer(Duration.ofSeconds(30)).commit(List.of(request(1))))
                .isInstanceOf(SinkRefusedException.class)
                .satisfies(
                        e ->
                                assertThat(ThrowableClassifier.getThrowableType(e))
                                        .isEqualTo(ThrowableType.NonRecoverableError));
        assertThat(gateway.calls).isEqualTo(1);
    }

    @Test
    void aFencedCommitterStopsButARestoredCommittableWaitsForItsAttach() throws Exception {
        gateway.always(failure(ErrorClass.FENCED, ErrorReason.STALE_EPOCH));
        assertThatThrownBy(() -> committer(Duration.ofSeconds(30)).commit(List.of(request(8))))
                .isInstanceOf(SinkFencedException.class);
        assertThat(gateway.calls).isEqualTo(1);

        gateway.steps.clear();
        gateway.then(failure(ErrorClass.FENCED, ErrorReason.STALE_EPOCH)).committed();
        committer(Duration.ofSeconds(30)).commit(List.of(request(7)));
        assertThat(gateway.calls).isEqualTo(3);
    }

    @Test
    void groupsAreCommittedInCheckpointOrder() throws Exception {
        gateway.committed().committed().committed();
        committer(Duration.ofSeconds(30)).commit(Arrays.asList(request(3), request(1), request(2)));
        assertThat(gateway.checkpoints).containsExactly(1L, 2L, 3L);
    }

    @Test
    void aWaitingCommitCanBeInterrupted() throws Exception {
        gateway.always(failure(ErrorClass.RETRIABLE, ErrorReason.UNAVAILABLE));
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread task =
                new Thread(
                        () -> {
                            try {
                                committer(Duration.ofMinutes(5)).commit(List.of(request(1)));
                            } catch (Throwable e) {
                                thrown.set(e);
                            }
                        });
        task.start();
        while (gateway.calls == 0) {
            Thread.sleep(5);
        }
        task.interrupt();
        task.join(10_000);
        assertThat(thrown.get()).isInstanceOf(InterruptedException.class);
    }

    private GroupCommitter committer(Duration timeout) {
        return new GroupCommitter(gateway, timeout, OptionalLong.of(7));
    }

    private static SluiceException failure(ErrorClass errorClass, ErrorReason reason) {
        return new SluiceException(errorClass, reason, "scripted " + errorClass);
    }

    private static Committer.CommitRequest<GroupCommittable> request(long checkpoint) {
        Group group = new Group(UUID.randomUUID(), checkpoint, null, List.of(UUID.randomUUID()), 1);
        return new Request(new GroupCommittable(new UUID(1, 1), new UUID(2, 2), "s", "sink", group));
    }

    private static final class Script implements GroupCommitter.Gateway {
        private final ArrayDeque<SluiceException> steps = new ArrayDeque<>();
        private final List<Long> checkpoints = new ArrayList<>();
        private static final SluiceException COMMITTED = failure(ErrorClass.REJECTED, ErrorReason.BUG);
        private SluiceException forEver;
        private volatile int calls;

        Script then(SluiceException failure) {
            forEver = null;
            steps.add(failure);
            return this;
        }

        Script committed() {
            return then(COMMITTED);
        }

        void always(SluiceException failure) {
            forEver = failure;
        }

        @Override
        public CommitGroupResponse commit(GroupCommittable committable, Duration timeout) throws SluiceException {
            calls++;
            SluiceException step = forEver != null ? forEver : steps.remove();
            if (step != COMMITTED) {
                throw step;
            }
            checkpoints.add(committable.group.checkpoint);
            return CommitGroupResponse.getDefaultInstance();
        }

        @Override
        public void close() {}
    }

    private static final class Request implements Committer.CommitRequest<GroupCommittable> {
        private final GroupCommittable committable;

        Request(GroupCommittable committable) {
            this.committable = committable;
        }

        @Override
        public GroupCommittable getCommittable() {
            return committable;
        }

        @Override
        public int getNumberOfRetries() {
            return 0;
        }

        @Override
        public void signalFailedWithKnownReason(Throwable t) {
            throw new AssertionError("discards data in silence", t);
        }

        @Override
        public void signalFailedWithUnknownReason(Throwable t) {
            throw new AssertionError("failures are thrown", t);
        }

        @Override
        public void retryLater() {
            throw new AssertionError("retries are made here");
        }

        @Override
        public void updateAndRetryLater(GroupCommittable changed) {
            throw new AssertionError("a group never changes");
        }

        @Override
        public void signalAlreadyCommitted() {
            throw new AssertionError("the gateway answers a repeat as a commit");
        }
    }
}
