package io.sluice.flink.sink;

import io.sluice.proto.gateway.v1.SinkName;
import org.apache.flink.annotation.Internal;

import java.io.Serializable;
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
    /** Fixed when the job graph is built: the same over all restarts of one submission. */
    public final UUID runNonce = UUID.randomUUID();
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

    /** The sink's name on the wire. */
    public SinkName sink() {
        return SinkName.newBuilder().setScope(sinkScope).setName(sinkName).build();
    }
}
