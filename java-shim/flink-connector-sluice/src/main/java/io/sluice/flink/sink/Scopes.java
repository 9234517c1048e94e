package io.sluice.flink.sink;

import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.proto.gateway.v1.CreateScopeRequest;
import org.apache.flink.annotation.Internal;

/** Scopes of sinks and streams. */
@Internal
public final class Scopes {

    private Scopes() {}

    /** Creates the scope unless it is there or the settings forbid creating. */
    public static void ensure(SluiceClient client, SinkSettings settings, String scope)
            throws SluiceException, InterruptedException {
        if (settings.autoCreate) {
            CreateScopeRequest request =
                    CreateScopeRequest.newBuilder().setRequest(client.nextRequestId()).setScope(scope).build();
            client.call(Rpc.CREATE_SCOPE, request, settings.timeout);
        }
    }
}
