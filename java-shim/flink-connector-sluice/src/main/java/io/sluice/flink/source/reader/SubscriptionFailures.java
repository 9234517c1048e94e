package io.sluice.flink.source.reader;

import io.sluice.flink.source.NonRecoverableSourceException;
import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.proto.gateway.v1.ErrorDetail;
import io.sluice.proto.gateway.v1.ErrorReason;
import java.io.IOException;

/** What a failed subscription means for the job. */
final class SubscriptionFailures {
    private SubscriptionFailures() {}

    /**
     * @param offset the next event wanted
     * @param error what the gateway says, not retriable
     * @param sentence its message for people
     */
    static Exception describe(SluiceSplit split, long offset, ErrorDetail error, String sentence) {
        if (error.getReason() == ErrorReason.TRUNCATED) {
            return new NonRecoverableSourceException("events " + offset + " to " + (error.getExpected() - 1) + " of " + split.splitId()
                    + " were deleted before this job read them (the segment starts at " + error.getExpected()
                    + " now); to go on without them start the job without its state or at other positions");
        }
        String message = "segment " + split.segment() + " of stream " + split.qualifiedStream() + " cannot be read from offset " + offset
                + ": " + sentence;
        switch (error.getClass_()) {
            case INVALID_ARGUMENT:
            case NOT_FOUND:
            case CONFLICT:
            case REJECTED:
            case FENCED:
                return new NonRecoverableSourceException(message);
            default:
                return new IOException(message);
        }
    }
}
