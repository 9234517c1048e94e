package io.sluice.flink.sink.committer;

import org.apache.flink.annotation.Internal;
import org.apache.flink.core.io.SimpleVersionedSerializer;

import java.io.IOException;

/** {@link GroupCommittable} as bytes: in checkpoints and savepoints, so every version is read for ever. */
@Internal
public final class GroupCommittableSerializer implements SimpleVersionedSerializer<GroupCommittable> {

    @Override
    public int getVersion() {
        return 1;
    }

    @Override
    public byte[] serialize(GroupCommittable committable) throws IOException {
        return CheckedBytes.write(
                out -> {
                    CheckedBytes.writeId(out, committable.clusterId);
                    CheckedBytes.writeId(out, committable.timelineId);
                    out.writeUTF(committable.sinkScope);
                    out.writeUTF(committable.sinkName);
                    committable.group.write(out);
                });
    }

    @Override
    public GroupCommittable deserialize(int version, byte[] bytes) throws IOException {
        return CheckedBytes.read(
                "a commit group",
                version,
                bytes,
                in ->
                        new GroupCommittable(
                                CheckedBytes.readId(in),
                                CheckedBytes.readId(in),
                                in.readUTF(),
                                in.readUTF(),
                                Group.read(in)));
    }
}
