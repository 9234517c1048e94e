package io.sluice.flink.tests;

import org.apache.flink.connector.testframe.TestResource;

/** A gateway as Flink's suites start and stop external systems. */
final class GatewayResource implements TestResource {
    private GatewayProcess gateway;

    @Override
    public void startUp() {
        if (gateway == null) {
            gateway = GatewayProcess.start();
        }
    }

    GatewayProcess gateway() {
        return gateway;
    }

    @Override
    public void tearDown() {
        if (gateway != null) {
            gateway.close();
            gateway = null;
        }
    }
}
