package io.sluice.flink.client;

import io.sluice.proto.gateway.v1.CreateScopeRequest;
import io.sluice.proto.gateway.v1.CreateStreamRequest;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.GetStreamRequest;
import io.sluice.proto.gateway.v1.StreamConfig;
import io.sluice.proto.gateway.v1.StreamInfo;
import io.sluice.proto.gateway.v1.StreamName;
import org.apache.flink.annotation.Internal;

import java.time.Duration;
import javax.annotation.Nullable;

/** Finding streams, and making those that are missing. */
@Internal
public final class Streams {

    private Streams() {}

    /** What a stream is made with; asked for only if it is made. */
    public interface Template {
        StreamConfig config() throws SluiceException, InterruptedException;
    }

    /**
     * Finds a stream, or makes it and its scope.
     *
     * <p>The caller checks that the stream is what it needs: it may have been there, or somebody else may be making it now with
     * settings of their own.
     *
     * @param template null: a missing stream is an error, see {@link #isMissing}
     * @param timeout how long a gateway that is away is waited for, for each call
     */
    public static StreamInfo getOrCreate(SluiceClient client, StreamName name, @Nullable Template template, Duration timeout)
            throws SluiceException, InterruptedException {
        try {
            return get(client, name, timeout);
        } catch (SluiceException e) {
            if (template == null || !isMissing(e)) {
                throw e;
            }
        }
        createScope(client, name.getScope(), timeout);
        CreateStreamRequest create =
                CreateStreamRequest.newBuilder()
                        .setRequest(client.nextRequestId())
                        .setStream(name)
                        .setConfig(template.config())
                        .build();
        try {
            return client.call(Rpc.CREATE_STREAM, create, timeout).getStream();
        } catch (SluiceException e) {
            if (e.reason() != ErrorReason.ALREADY_EXISTS && e.reason() != ErrorReason.SCHEMA_MISMATCH) {
                throw e;
            }
            return get(client, name, timeout);
        }
    }

    /** Makes a scope unless it is there. */
    public static void createScope(SluiceClient client, String scope, Duration timeout)
            throws SluiceException, InterruptedException {
        CreateScopeRequest create =
                CreateScopeRequest.newBuilder().setRequest(client.nextRequestId()).setScope(scope).build();
        client.call(Rpc.CREATE_SCOPE, create, timeout);
    }

    /** Whether a call failed because the stream or its scope does not exist. */
    public static boolean isMissing(SluiceException e) {
        return e.reason() == ErrorReason.UNKNOWN_STREAM || e.reason() == ErrorReason.UNKNOWN_SCOPE;
    }

    private static StreamInfo get(SluiceClient client, StreamName name, Duration timeout)
            throws SluiceException, InterruptedException {
        return client.call(Rpc.GET_STREAM, GetStreamRequest.newBuilder().setStream(name).build(), timeout).getStream();
    }
}
