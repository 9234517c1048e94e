package io.sluice.flink.tests;

import org.apache.flink.connector.testframe.environment.MiniClusterTestEnvironment;
import org.apache.flink.connector.testframe.junit.annotations.TestContext;
import org.apache.flink.connector.testframe.junit.annotations.TestEnv;
import org.apache.flink.connector.testframe.junit.annotations.TestExternalSystem;
import org.apache.flink.connector.testframe.junit.annotations.TestSemantics;
import org.apache.flink.connector.testframe.testsuites.SinkTestSuiteBase;
import org.apache.flink.core.execution.CheckpointingMode;
import org.junit.jupiter.api.Tag;

/** Flink's own suite for sinks, complete, for both guarantees: basic, savepoint, scaling up and down, metrics. */
@Tag("slow")
class SluiceSinkSuiteITCase extends SinkTestSuiteBase<String> {
    @TestSemantics
    CheckpointingMode[] semantics = {CheckpointingMode.EXACTLY_ONCE, CheckpointingMode.AT_LEAST_ONCE};

    @TestEnv MiniClusterTestEnvironment environment = new MiniClusterTestEnvironment();

    @TestExternalSystem GatewayResource gateway = new GatewayResource();

    @TestContext SuiteContexts.Factory contexts = new SuiteContexts.Factory(gateway);
}
