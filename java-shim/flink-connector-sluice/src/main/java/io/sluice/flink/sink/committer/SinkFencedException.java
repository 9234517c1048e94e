package io.sluice.flink.sink.committer;

import org.apache.flink.annotation.PublicEvolving;

import java.io.IOException;

/** A newer owner of the sink exists: this task stops. */
@PublicEvolving
public class SinkFencedException extends IOException {

    private static final long serialVersionUID = 1L;

    public SinkFencedException(String message, Throwable cause) {
        super(message, cause);
    }
}
