package io.sluice.flink.sink.committer;

import org.apache.flink.annotation.PublicEvolving;
import org.apache.flink.runtime.throwable.ThrowableAnnotation;
import org.apache.flink.runtime.throwable.ThrowableType;

import java.io.IOException;

/** The gateway refused for good: a restart would get the same answer, so the job fails at once and says why. */
@PublicEvolving
@ThrowableAnnotation(ThrowableType.NonRecoverableError)
public class SinkRefusedException extends IOException {

    private static final long serialVersionUID = 1L;

    public SinkRefusedException(String message, Throwable cause) {
        super(message, cause);
    }
}
