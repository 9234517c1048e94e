package io.sluice.flink.sink.writer;

import io.sluice.flink.client.SluiceClient;

import java.io.IOException;

/** Builds a writer around a client, which is given back if that fails. */
final class Opening {

    private Opening() {}

    interface Step<W> {
        W open(SluiceClient client) throws IOException, InterruptedException;
    }

    static <W> W with(String endpoint, Step<W> step) throws IOException {
        SluiceClient client = SluiceClient.acquire(endpoint);
        boolean opened = false;
        try {
            W writer = step.open(client);
            opened = true;
            return writer;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while the writer was opened", e);
        } finally {
            if (!opened) {
                client.close();
            }
        }
    }
}
