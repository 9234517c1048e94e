package io.sluice.flink.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorDetail;
import io.sluice.proto.gateway.v1.ErrorReason;

/** From gRPC's statuses to {@link SluiceException}. */
final class Errors {

    private Errors() {}

    static SluiceException of(Throwable failure, String what, String endpoint) {
        if (failure instanceof SluiceException) {
            return (SluiceException) failure;
        }
        if (failure instanceof StatusRuntimeException) {
            StatusRuntimeException status = (StatusRuntimeException) failure;
            return of(status.getStatus(), status.getTrailers(), what, endpoint);
        }
        if (failure instanceof StatusException) {
            StatusException status = (StatusException) failure;
            return of(status.getStatus(), status.getTrailers(), what, endpoint);
        }
        return new SluiceException(
                what + " failed on this side: " + failure, detail(ErrorClass.INTERNAL, ErrorReason.BUG), failure);
    }

    static SluiceException of(Status status, Metadata trailers, String what, String endpoint) {
        ErrorDetail detail = typed(status, trailers);
        if (detail != null) {
            return new SluiceException(message(status, detail, what), detail, null);
        }
        switch (status.getCode()) {
            case UNIMPLEMENTED:
                return new SluiceException(
                        "the server at " + endpoint + " does not know " + what
                                + ": it is no Sluice gateway, or one of another version",
                        detail(ErrorClass.INVALID_ARGUMENT, ErrorReason.BAD_REQUEST),
                        status.getCause());
            case INVALID_ARGUMENT:
            case RESOURCE_EXHAUSTED:
            case OUT_OF_RANGE:
            case UNAUTHENTICATED:
            case PERMISSION_DENIED:
                return new SluiceException(
                        what + " was refused by " + endpoint + ": " + status.getDescription(),
                        detail(ErrorClass.INVALID_ARGUMENT, ErrorReason.BAD_REQUEST),
                        status.getCause());
            default:
                // No typed error: the transport failed, so whether the call had an effect is not known. All calls may be
                // repeated.
                return new SluiceException(
                        "no answer from the Sluice gateway at " + endpoint + " to " + what + " (" + reason(status) + ")",
                        detail(ErrorClass.RETRIABLE, ErrorReason.UNAVAILABLE),
                        status.getCause());
        }
    }

    private static String reason(Status status) {
        Throwable cause = status.getCause();
        String text = status.getDescription() == null ? status.getCode().name() : status.getDescription();
        return cause == null || cause.getMessage() == null ? text : text + ": " + cause.getMessage();
    }

    private static String message(Status status, ErrorDetail detail, String what) {
        StringBuilder message = new StringBuilder(what).append(" failed: ");
        message.append(status.getDescription() == null ? detail.getReason().name() : status.getDescription());
        message.append(" [").append(detail.getClass_()).append(", ").append(detail.getReason());
        if (!detail.getResource().isEmpty()) {
            message.append(", ").append(detail.getResource());
        }
        if (!detail.getAbortReason().isEmpty()) {
            message.append(", aborted: ").append(detail.getAbortReason());
        }
        return message.append(']').toString();
    }

    private static ErrorDetail typed(Status status, Metadata trailers) {
        com.google.rpc.Status full;
        try {
            full = StatusProto.fromStatusAndTrailers(status, trailers == null ? new Metadata() : trailers);
        } catch (IllegalArgumentException inconsistent) {
            return null;
        }
        for (Any any : full.getDetailsList()) {
            if (any.is(ErrorDetail.class)) {
                try {
                    return any.unpack(ErrorDetail.class);
                } catch (InvalidProtocolBufferException damaged) {
                    return null;
                }
            }
        }
        return null;
    }

    static ErrorDetail detail(ErrorClass errorClass, ErrorReason reason) {
        return ErrorDetail.newBuilder().setClass_(errorClass).setReason(reason).build();
    }
}
