package io.sluice.flink.sink;

import io.sluice.proto.gateway.v1.SinkName;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.common.JobInfo;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** What a sink was built with; travels with the job graph. */
@Internal
public final class SinkSettings implements Serializable {

    private static final long serialVersionUID = 1L;

    /** The gateway. */
    public final String endpoint;
    /** Scope of the sink; null without a sink id. */
    public final String sinkScope;
    /** Name of the sink; null without a sink id. */
    public final String sinkName;
    /** Fixed when the sink is built, before any job is made of it. */
    private final UUID built = UUID.randomUUID();
    /** How long the gateway is waited for. */
    public final Duration timeout;
    public final boolean acceptDuplicates;
    public final FreshStart freshStart;
    public final boolean autoCreate;
    /** Segments of a stream that is created. */
    public final int segments;
    /** Routing columns; null: not said, whatever the stream has. */
    public final List<String> routingKeyFields;
    /** Labels of a stream that is created. */
    public final Map<String, String> labels;

    SinkSettings(
            String endpoint,
            SinkName sink,
            Duration timeout,
            boolean acceptDuplicates,
            FreshStart freshStart,
            boolean autoCreate,
            int segments,
            List<String> routingKeyFields,
            Map<String, String> labels) {
        this.endpoint = endpoint;
        this.sinkScope = sink == null ? null : sink.getScope();
        this.sinkName = sink == null ? null : sink.getName();
        this.timeout = timeout;
        this.acceptDuplicates = acceptDuplicates;
        this.freshStart = freshStart;
        this.autoCreate = autoCreate;
        this.segments = segments;
        this.routingKeyFields = routingKeyFields;
        this.labels = labels;
    }

    /**
     * The run of the sink: one job of one submission. The same over all restarts of the job, and another for every job: a
     * program may hand one sink object to several.
     */
    public UUID run(JobInfo job) {
        return derived(built + "/" + job.getJobId());
    }

    /** As {@link #run}, for one operator of the job: a job may hold one sink object more than once. */
    public UUID run(JobInfo job, String operatorId) {
        return derived(built + "/" + job.getJobId() + "/" + operatorId);
    }

    private static UUID derived(String text) {
        return UUID.nameUUIDFromBytes(text.getBytes(StandardCharsets.UTF_8));
    }

    /** The sink's name on the wire. */
    public SinkName sink() {
        return SinkName.newBuilder().setScope(sinkScope).setName(sinkName).build();
    }
}
