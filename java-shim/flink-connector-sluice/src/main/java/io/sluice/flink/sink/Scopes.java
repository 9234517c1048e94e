package io.sluice.flink.sink;

import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.flink.client.Streams;
import org.apache.flink.annotation.Internal;

/** Scopes of sinks and streams. */
@Internal
public final class Scopes {

    private Scopes() {}

    /** Creates the scope unless it is there or the settings forbid creating. */
    public static void ensure(SluiceClient client, SinkSettings settings, String scope)
            throws SluiceException, InterruptedException {
        if (settings.autoCreate) {
            Streams.createScope(client, scope, settings.timeout);
        }
    }
}
