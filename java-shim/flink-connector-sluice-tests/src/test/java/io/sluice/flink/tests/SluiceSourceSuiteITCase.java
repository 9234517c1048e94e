package io.sluice.flink.tests;

import org.apache.flink.connector.testframe.environment.MiniClusterTestEnvironment;
import org.apache.flink.connector.testframe.junit.annotations.TestContext;
import org.apache.flink.connector.testframe.junit.annotations.TestEnv;
import org.apache.flink.connector.testframe.junit.annotations.TestExternalSystem;
import org.apache.flink.connector.testframe.junit.annotations.TestSemantics;
import org.apache.flink.connector.testframe.testsuites.SourceTestSuiteBase;
import org.apache.flink.core.execution.CheckpointingMode;
import org.junit.jupiter.api.Tag;

/** Flink's own suite for sources, complete: single and many splits, savepoint, scaling up and down, metrics, idle reader, failover. */
@Tag("slow")
class SluiceSourceSuiteITCase extends SourceTestSuiteBase<String> {
    @TestSemantics CheckpointingMode[] semantics = {CheckpointingMode.EXACTLY_ONCE};

    @TestEnv MiniClusterTestEnvironment environment = new MiniClusterTestEnvironment();

    @TestExternalSystem GatewayResource gateway = new GatewayResource();

    @TestContext SuiteContexts.Factory contexts = new SuiteContexts.Factory(gateway);
}
