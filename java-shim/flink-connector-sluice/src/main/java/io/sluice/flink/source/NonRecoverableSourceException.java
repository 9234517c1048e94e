package io.sluice.flink.source;

import org.apache.flink.annotation.PublicEvolving;
import org.apache.flink.runtime.throwable.ThrowableAnnotation;
import org.apache.flink.runtime.throwable.ThrowableType;
import org.apache.flink.util.FlinkRuntimeException;

/** The source can't read what it is told to read, and no restart changes that: the job fails at once, whatever its restart strategy. */
@PublicEvolving
@ThrowableAnnotation(ThrowableType.NonRecoverableError)
public class NonRecoverableSourceException extends FlinkRuntimeException {
    private static final long serialVersionUID = 1L;

    public NonRecoverableSourceException(String message) {
        super(message);
    }

    public NonRecoverableSourceException(String message, Throwable cause) {
        super(message, cause);
    }
}
