package io.sluice.flink.source;

import io.sluice.flink.client.Names;
import io.sluice.proto.gateway.v1.GroupName;
import io.sluice.proto.gateway.v1.StreamName;
import org.apache.flink.annotation.Internal;

/** Names of reader groups, written as {@code scope/group}. */
@Internal
public final class GroupNames {
    private GroupNames() {}

    /**
     * The full name.
     *
     * @param group {@code scope/group}, or {@code group} in the scope of {@code stream}
     * @throws IllegalArgumentException if a part breaks the naming rule
     */
    static String qualified(String group, String stream) {
        String full = group.indexOf('/') < 0 ? Names.stream(stream).getScope() + "/" + group : group;
        parse(full);
        return full;
    }

    /** The parts of {@code scope/group}. */
    public static GroupName parse(String group) {
        try {
            StreamName parts = Names.stream(group);
            return GroupName.newBuilder().setScope(parts.getScope()).setName(parts.getName()).build();
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("the reader group '" + group + "' is not written as scope/group: " + e.getMessage(), e);
        }
    }
}
