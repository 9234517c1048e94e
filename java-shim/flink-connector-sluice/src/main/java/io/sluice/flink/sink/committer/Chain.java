package io.sluice.flink.sink.committer;

import org.apache.flink.core.io.SimpleVersionedSerializer;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;

/**
 * The aggregator's state: the last head the gateway confirmed, and the groups emitted after it, in order. The head moves
 * only on an answer of the gateway.
 */
final class Chain {
    /** The timeline the chain belongs to. */
    final UUID timelineId;
    /** Null: no group was confirmed yet. */
    final UUID base;
    /** Emitted after {@link #base}; the gateway has not confirmed them to this state. */
    final List<Group> emitted;

    Chain(UUID timelineId, UUID base, List<Group> emitted) {
        this.timelineId = timelineId;
        this.base = base;
        this.emitted = List.copyOf(emitted);
    }

    /** What the next group follows. */
    UUID last() {
        return emitted.isEmpty() ? base : emitted.get(emitted.size() - 1).id;
    }

    Chain with(Group group) {
        List<Group> more = new ArrayList<>(emitted);
        more.add(group);
        return new Chain(timelineId, base, more);
    }

    /** The chain after the gateway named its head; null if the head is not of this chain. */
    Chain confirmed(UUID head) {
        if (Objects.equals(head, base)) {
            return this;
        }
        for (int i = 0; i < emitted.size(); i++) {
            if (emitted.get(i).id.equals(head)) {
                return new Chain(timelineId, head, emitted.subList(i + 1, emitted.size()));
            }
        }
        return null;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Chain
                && timelineId.equals(((Chain) other).timelineId)
                && Objects.equals(base, ((Chain) other).base)
                && emitted.equals(((Chain) other).emitted);
    }

    @Override
    public int hashCode() {
        return Objects.hash(timelineId, base, emitted);
    }

    @Override
    public String toString() {
        return "Chain{base " + base + ", emitted " + emitted + "}";
    }

    /** In checkpoints and savepoints, so every version is read for ever. */
    static final class Serializer implements SimpleVersionedSerializer<Chain> {

        private static final int EMITTED_MAX = 1 << 20;

        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Chain chain) throws IOException {
            return CheckedBytes.write(
                    out -> {
                        CheckedBytes.writeId(out, chain.timelineId);
                        CheckedBytes.writeOptionalId(out, chain.base);
                        out.writeInt(chain.emitted.size());
                        for (Group group : chain.emitted) {
                            group.write(out);
                        }
                    });
        }

        @Override
        public Chain deserialize(int version, byte[] bytes) throws IOException {
            return CheckedBytes.read(
                    "the chain of commit groups",
                    version,
                    bytes,
                    in -> {
                        UUID timelineId = CheckedBytes.readId(in);
                        UUID base = CheckedBytes.readOptionalId(in);
                        int count = in.readInt();
                        if (count < 0 || count > EMITTED_MAX) {
                            throw new IOException("the chain in the job's state claims " + count + " groups");
                        }
                        List<Group> emitted = new ArrayList<>();
                        for (int i = 0; i < count; i++) {
                            emitted.add(Group.read(in));
                        }
                        return new Chain(timelineId, base, emitted);
                    });
        }
    }
}
