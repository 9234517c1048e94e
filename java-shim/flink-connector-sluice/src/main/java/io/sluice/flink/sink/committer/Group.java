package io.sluice.flink.sink.committer;

import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import io.sluice.flink.client.Ids;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;

/** All transactions of one checkpoint. Once emitted it is never changed or merged: the committer may hold it already. */
final class Group {

    private static final int MEMBERS_MAX = 4096;

    final UUID id;
    /** Flink's checkpoint id; order comes from {@link #previous}. */
    final long checkpoint;
    /** The group before it in the sink's chain; null: it is the first. */
    final UUID previous;
    /** Transactions, ordered by subtask. */
    final List<UUID> members;
    /** The incarnation it was minted under. */
    final long incarnation;

    Group(UUID id, long checkpoint, UUID previous, List<UUID> members, long incarnation) {
        this.id = id;
        this.checkpoint = checkpoint;
        this.previous = previous;
        this.members = List.copyOf(members);
        this.incarnation = incarnation;
    }

    void write(DataOutputView out) throws IOException {
        CheckedBytes.writeId(out, id);
        out.writeLong(checkpoint);
        CheckedBytes.writeOptionalId(out, previous);
        out.writeInt(members.size());
        for (UUID member : members) {
            CheckedBytes.writeId(out, member);
        }
        out.writeLong(incarnation);
    }

    static Group read(DataInputView in) throws IOException {
        UUID id = CheckedBytes.readId(in);
        long checkpoint = in.readLong();
        UUID previous = CheckedBytes.readOptionalId(in);
        int count = in.readInt();
        if (count < 1 || count > MEMBERS_MAX) {
            throw new IOException("a commit group in the job's state has " + count + " members, 1 to " + MEMBERS_MAX + " are possible");
        }
        List<UUID> members = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            members.add(CheckedBytes.readId(in));
        }
        return new Group(id, checkpoint, previous, members, in.readLong());
    }

    io.sluice.proto.gateway.v1.Group toProto() {
        io.sluice.proto.gateway.v1.Group.Builder group =
                io.sluice.proto.gateway.v1.Group.newBuilder()
                        .setGroupId(Ids.bytes(id))
                        .setCheckpoint(checkpoint)
                        .setIncarnation(incarnation);
        if (previous != null) {
            group.setPrevGroup(Ids.bytes(previous));
        }
        members.forEach(member -> group.addMembers(Ids.bytes(member)));
        return group.build();
    }

    static Group fromProto(io.sluice.proto.gateway.v1.Group group) {
        List<UUID> members = new ArrayList<>(group.getMembersCount());
        group.getMembersList().forEach(member -> members.add(Ids.uuid(member)));
        return new Group(
                Ids.uuid(group.getGroupId()),
                group.getCheckpoint(),
                Ids.uuid(group.getPrevGroup()),
                members,
                group.getIncarnation());
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Group
                && id.equals(((Group) other).id)
                && checkpoint == ((Group) other).checkpoint
                && Objects.equals(previous, ((Group) other).previous)
                && members.equals(((Group) other).members)
                && incarnation == ((Group) other).incarnation;
    }

    @Override
    public int hashCode() {
        return id.hashCode();
    }

    @Override
    public String toString() {
        return "group " + id + " of checkpoint " + checkpoint + " (" + members.size() + " transactions, after " + previous + ")";
    }
}
