package io.sluice.flink.sink.committer;

import io.sluice.flink.client.Ids;
import io.sluice.proto.gateway.v1.CommitGroupRequest;
import io.sluice.proto.gateway.v1.SinkName;
import org.apache.flink.annotation.Internal;

import java.util.UUID;

/**
 * Everything a commit needs: any committer, in any later attempt of the job, can ask for it with nothing else at hand.
 */
@Internal
public final class GroupCommittable {
    final UUID clusterId;
    final UUID timelineId;
    final String sinkScope;
    final String sinkName;
    final Group group;

    GroupCommittable(UUID clusterId, UUID timelineId, String sinkScope, String sinkName, Group group) {
        this.clusterId = clusterId;
        this.timelineId = timelineId;
        this.sinkScope = sinkScope;
        this.sinkName = sinkName;
        this.group = group;
    }

    CommitGroupRequest request() {
        return CommitGroupRequest.newBuilder()
                .setSink(SinkName.newBuilder().setScope(sinkScope).setName(sinkName))
                .setGroup(group.toProto())
                .setClusterId(Ids.bytes(clusterId))
                .setTimelineId(Ids.bytes(timelineId))
                .build();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof GroupCommittable
                && clusterId.equals(((GroupCommittable) other).clusterId)
                && timelineId.equals(((GroupCommittable) other).timelineId)
                && sinkScope.equals(((GroupCommittable) other).sinkScope)
                && sinkName.equals(((GroupCommittable) other).sinkName)
                && group.equals(((GroupCommittable) other).group);
    }

    @Override
    public int hashCode() {
        return group.hashCode();
    }

    @Override
    public String toString() {
        return group + " of sink " + sinkScope + "/" + sinkName;
    }
}
