package io.sluice.flink.table;

import java.time.Duration;
import java.util.List;
import org.apache.flink.annotation.PublicEvolving;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.table.factories.FactoryUtil;

/** Options of {@code 'connector' = 'sluice'} tables. */
@PublicEvolving
public final class SluiceConnectorOptions {

    /** Where a scan starts. */
    public enum StartupMode {
        /** At the first events that can be read. */
        EARLIEST("earliest"),
        /** After everything committed when the job starts. */
        LATEST("latest"),
        /** At the first events committed at or after {@code scan.startup.timestamp-millis}. */
        TIMESTAMP("timestamp"),
        /** At {@code scan.startup.positions}. */
        POSITIONS("positions"),
        /** Where the reader group {@code scan.group} stands; at the earliest events if there is no such group. */
        GROUP_OFFSETS("group-offsets");

        private final String text;

        StartupMode(String text) {
            this.text = text;
        }

        @Override
        public String toString() {
            return text;
        }
    }

    /** Where a scan ends. */
    public enum BoundedMode {
        /** Never. */
        UNBOUNDED("unbounded"),
        /** After everything committed when the job starts. */
        LATEST("latest"),
        /** Before the first events committed at or after {@code scan.bounded.timestamp-millis}. */
        TIMESTAMP("timestamp"),
        /** Before {@code scan.bounded.positions}. */
        POSITIONS("positions");

        private final String text;

        BoundedMode(String text) {
            this.text = text;
        }

        @Override
        public String toString() {
            return text;
        }
    }

    /** What a new job does when its sink id has been used before. */
    public enum FreshStartMode {
        /** Goes on after what is committed. */
        ALLOW("allow"),
        /** Fails. */
        REFUSE("refuse");

        private final String text;

        FreshStartMode(String text) {
            this.text = text;
        }

        @Override
        public String toString() {
            return text;
        }
    }

    public static final ConfigOption<String> ENDPOINT = ConfigOptions.key("endpoint")
            .stringType()
            .noDefaultValue()
            .withDescription("The gateway: host:port or http://host:port.");

    public static final ConfigOption<String> STREAM =
            ConfigOptions.key("stream").stringType().noDefaultValue().withDescription("The stream, written as scope/stream.");

    public static final ConfigOption<Boolean> STREAM_AUTO_CREATE = ConfigOptions.key("stream.auto-create")
            .booleanType()
            .defaultValue(true)
            .withDescription("Whether scope and stream are created when a job finds them missing.");

    public static final ConfigOption<Integer> STREAM_SEGMENTS = ConfigOptions.key("stream.segments")
            .intType()
            .defaultValue(1)
            .withDescription("Number of segments of a stream that is created, 1 to 1024. One that exists keeps its own.");

    public static final ConfigOption<List<String>> ROUTING_KEY_FIELDS = ConfigOptions.key("routing-key.fields")
            .stringType()
            .asList()
            .defaultValues()
            .withDescription("Columns whose values choose a row's segment, separated by ';'. Rows with equal values keep their order.");

    public static final ConfigOption<String> SINK_ID = ConfigOptions.key("sink.id")
            .stringType()
            .noDefaultValue()
            .withDescription("The sink's durable name, required for exactly-once: 'name' in the stream's scope or 'scope/name'. Give each"
                    + " INSERT its own and keep it over restarts, savepoints and resubmissions.");

    public static final ConfigOption<DeliveryGuarantee> SINK_DELIVERY_GUARANTEE = ConfigOptions.key("sink.delivery-guarantee")
            .enumType(DeliveryGuarantee.class)
            .defaultValue(DeliveryGuarantee.EXACTLY_ONCE)
            .withDescription("exactly-once, at-least-once or none.");

    public static final ConfigOption<Duration> SINK_COMMIT_TIMEOUT = ConfigOptions.key("sink.commit-timeout")
            .durationType()
            .defaultValue(Duration.ofMinutes(2))
            .withDescription("How long a commit is retried while the gateway is away before the task fails.");

    public static final ConfigOption<Boolean> SINK_ACCEPT_DUPLICATES = ConfigOptions.key("sink.accept-duplicates")
            .booleanType()
            .defaultValue(false)
            .withDescription("Restore an older savepoint although later checkpoints of it are committed already: their rows are written again.");

    public static final ConfigOption<FreshStartMode> SINK_FRESH_START = ConfigOptions.key("sink.fresh-start")
            .enumType(FreshStartMode.class)
            .defaultValue(FreshStartMode.ALLOW)
            .withDescription("What a job without state does when its sink.id has been used before: allow or refuse.");

    public static final ConfigOption<Integer> SINK_PARALLELISM = FactoryUtil.SINK_PARALLELISM;

    public static final ConfigOption<StartupMode> SCAN_STARTUP_MODE = ConfigOptions.key("scan.startup.mode")
            .enumType(StartupMode.class)
            .defaultValue(StartupMode.EARLIEST)
            .withDescription("Where a job without state starts: earliest, latest, timestamp, positions or group-offsets.");

    public static final ConfigOption<Long> SCAN_STARTUP_TIMESTAMP_MILLIS = ConfigOptions.key("scan.startup.timestamp-millis")
            .longType()
            .noDefaultValue()
            .withDescription("For startup mode timestamp: commit time in milliseconds since 1970-01-01T00:00:00Z.");

    public static final ConfigOption<String> SCAN_STARTUP_POSITIONS = ConfigOptions.key("scan.startup.positions")
            .stringType()
            .noDefaultValue()
            .withDescription("For startup mode positions, for example 'segment:0,offset:42;segment:1,offset:300'. Segments that are not"
                    + " named start at their earliest event.");

    public static final ConfigOption<BoundedMode> SCAN_BOUNDED_MODE = ConfigOptions.key("scan.bounded.mode")
            .enumType(BoundedMode.class)
            .defaultValue(BoundedMode.UNBOUNDED)
            .withDescription("Where the scan ends: unbounded, latest, timestamp or positions.");

    public static final ConfigOption<Long> SCAN_BOUNDED_TIMESTAMP_MILLIS = ConfigOptions.key("scan.bounded.timestamp-millis")
            .longType()
            .noDefaultValue()
            .withDescription("For bounded mode timestamp: commit time in milliseconds since 1970-01-01T00:00:00Z, exclusive.");

    public static final ConfigOption<String> SCAN_BOUNDED_POSITIONS = ConfigOptions.key("scan.bounded.positions")
            .stringType()
            .noDefaultValue()
            .withDescription("For bounded mode positions: the first offset not read of every segment, written as scan.startup.positions.");

    public static final ConfigOption<String> SCAN_GROUP = ConfigOptions.key("scan.group")
            .stringType()
            .noDefaultValue()
            .withDescription("The reader group that mirrors the positions of completed checkpoints: 'group' in the stream's scope or"
                    + " 'scope/group'. Created when missing.");

    public static final ConfigOption<Double> SCAN_RATE_LIMIT = ConfigOptions.key("scan.rate-limit")
            .doubleType()
            .defaultValue(0.0)
            .withDescription("Rows per second the whole job reads at most; 0: no limit.");

    public static final ConfigOption<MemorySize> SCAN_READ_MEMORY = ConfigOptions.key("scan.read-memory")
            .memoryType()
            .defaultValue(MemorySize.ofMebiBytes(32))
            .withDescription("What blocks read ahead may take in each reader, as a rule; at least 1 MiB.");

    public static final ConfigOption<Duration> SCAN_RECONNECT_TIMEOUT = ConfigOptions.key("scan.reconnect-timeout")
            .durationType()
            .defaultValue(Duration.ofMinutes(2))
            .withDescription("How long readers try to reach a gateway that is away before the job fails.");

    public static final ConfigOption<Integer> SCAN_PARALLELISM = FactoryUtil.SOURCE_PARALLELISM;

    private SluiceConnectorOptions() {}
}
