package io.sluice.flink.client;

import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorDetail;
import io.sluice.proto.gateway.v1.ErrorReason;
import org.apache.flink.annotation.Internal;

import java.io.IOException;

/**
 * A call failed. Callers switch on {@link #errorClass()} and {@link #reason()}, never on the text; the message is one
 * sentence for people.
 */
@Internal
public class SluiceException extends IOException {

    private static final long serialVersionUID = 1L;

    private final ErrorClass errorClass;
    private final ErrorReason reason;
    // Kept as bytes: the exception crosses class loaders when Flink ships it to the JobManager.
    private final byte[] detail;

    SluiceException(String message, ErrorDetail detail, Throwable cause) {
        super(message, cause);
        this.errorClass = detail.getClass_();
        this.reason = detail.getReason();
        this.detail = detail.toByteArray();
    }

    /** A failure found on this side, in the gateway's words. */
    public SluiceException(ErrorClass errorClass, ErrorReason reason, String message) {
        this(message, ErrorDetail.newBuilder().setClass_(errorClass).setReason(reason).build(), null);
    }

    /** What the caller does next. */
    public ErrorClass errorClass() {
        return errorClass;
    }

    /** Why. {@link ErrorReason#UNAVAILABLE} also when the gateway could not be reached at all. */
    public ErrorReason reason() {
        return reason;
    }

    /** The typed error as the gateway sent it; only class and reason are set when it sent none. */
    public ErrorDetail detail() {
        try {
            return ErrorDetail.parseFrom(detail);
        } catch (com.google.protobuf.InvalidProtocolBufferException e) {
            throw new IllegalStateException("bytes written by this class are an ErrorDetail", e);
        }
    }

    /** Whether the same request may be sent again. */
    public boolean retriable() {
        return errorClass == ErrorClass.RETRIABLE;
    }
}
