package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.util.ExceptionUtils;
import org.junit.jupiter.api.Test;

/** Options that are missing, unknown, malformed or contradictory: each is refused with a sentence that says what to do. No gateway runs. */
class TableOptionsTest {
    private static final String COLUMNS = "carrier STRING, delay INT";
    /** Nobody listens there. */
    private static final String ENDPOINT = "127.0.0.1:1";

    private final TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());

    private static Map<String, String> options(String... more) {
        Map<String, String> options = new LinkedHashMap<>();
        options.put("connector", "sluice");
        options.put("endpoint", ENDPOINT);
        options.put("stream", "nyc/flights");
        for (int i = 0; i < more.length; i += 2) {
            if (more[i + 1] == null) {
                options.remove(more[i]);
            } else {
                options.put(more[i], more[i + 1]);
            }
        }
        return options;
    }

    private void create(String columns, Map<String, String> options) {
        String with = options.entrySet().stream()
                .map(option -> "'" + option.getKey() + "' = '" + option.getValue() + "'")
                .collect(Collectors.joining(", "));
        tables.executeSql("CREATE TABLE t (" + columns + ") WITH (" + with + ")");
    }

    private void assertScanRefused(String columns, Map<String, String> options, String... parts) {
        create(columns, options);
        assertRefused("SELECT * FROM t", parts);
    }

    private void assertInsertRefused(Map<String, String> options, String... parts) {
        create(COLUMNS, options);
        assertRefused("INSERT INTO t VALUES ('AA', 1)", parts);
    }

    private void assertRefused(String statement, String... parts) {
        try {
            assertThatThrownBy(() -> tables.explainSql(statement))
                    .satisfies(failure -> assertThat(ExceptionUtils.stringifyException(failure)).contains(parts));
        } finally {
            tables.executeSql("DROP TABLE t");
        }
    }

    @Test
    void goodOptionsArePlannedWithoutAGateway() {
        create(COLUMNS, options("sink.id", "flights", "scan.startup.mode", "group-offsets", "scan.group", "g", "scan.rate-limit", "100",
                "scan.bounded.mode", "positions", "scan.bounded.positions", "segment:0,offset:10", "scan.parallelism", "2",
                "sink.parallelism", "3", "routing-key.fields", "carrier;delay", "stream.segments", "4"));
        assertThat(tables.explainSql("SELECT delay FROM t LIMIT 3")).contains("project=[delay]");
        assertThat(tables.explainSql("INSERT INTO t SELECT * FROM t")).contains("t");
    }

    @Test
    void missingOptionsAreNamed() {
        assertScanRefused(COLUMNS, options("endpoint", null), "required options are missing", "endpoint");
        assertScanRefused(COLUMNS, options("stream", null), "required options are missing", "stream");
        assertInsertRefused(options(), "exactly once needs option 'sink.id'", "'sink.delivery-guarantee' = 'at-least-once'");
    }

    @Test
    void unknownOptionsAreNamedBesideTheKnownOnes() {
        assertScanRefused(COLUMNS, options("scan.speed", "fast"), "Unsupported options", "scan.speed", "scan.rate-limit");
    }

    @Test
    void malformedOptionsAreNamedWithWhatIsExpected() {
        assertScanRefused(COLUMNS, options("endpoint", "somewhere"), "option 'endpoint'", "'somewhere'", "host:port");
        assertScanRefused(COLUMNS, options("stream", "flights"), "option 'stream'", "'flights'", "scope/name");
        assertScanRefused(COLUMNS, options("stream", "NYC/flights"), "option 'stream'", "NYC");
        assertScanRefused(COLUMNS, options("scan.startup.mode", "sometimes"), "scan.startup.mode", "earliest");
        assertScanRefused(COLUMNS, options("scan.rate-limit", "-1"), "'scan.rate-limit' = '-1.0' is out of range");
        assertScanRefused(COLUMNS, options("scan.read-memory", "10 kb"), "'scan.read-memory'", "at least 1 mb");
        assertScanRefused(COLUMNS, options("stream.segments", "0"), "'stream.segments' = '0' is out of range", "1 to 1024");
        assertScanRefused(COLUMNS, options("stream.segments", "many"), "many", "stream.segments");
        assertScanRefused(COLUMNS, options("scan.startup.mode", "positions", "scan.startup.positions", "0=5"),
                "'scan.startup.positions' = '0=5' is malformed", "segment:0,offset:42");
        assertScanRefused(COLUMNS, options("routing-key.fields", "carier"), "'carier'", "[carrier, delay]");
        assertInsertRefused(options("sink.delivery-guarantee", "twice"), "sink.delivery-guarantee", "exactly-once");
        assertInsertRefused(options("sink.id", "No Good"), "No Good");
    }

    @Test
    void contradictionsAreNamed() {
        assertScanRefused(COLUMNS, options("scan.startup.mode", "timestamp"), "needs option 'scan.startup.timestamp-millis'");
        assertScanRefused(COLUMNS, options("scan.startup.mode", "positions"), "needs option 'scan.startup.positions'");
        assertScanRefused(COLUMNS, options("scan.startup.mode", "group-offsets"), "needs option 'scan.group'");
        assertScanRefused(COLUMNS, options("scan.bounded.mode", "timestamp"), "needs option 'scan.bounded.timestamp-millis'");
        assertScanRefused(COLUMNS, options("scan.startup.timestamp-millis", "5"), "has no effect with 'scan.startup.mode' = 'earliest'");
    }

    @Test
    void tablesThatAreNoStreamsAreRefused() {
        assertScanRefused("id INT NOT NULL, PRIMARY KEY (id) NOT ENFORCED", options(), "primary key", "append-only");
        assertScanRefused("id INT, bag MULTISET<STRING>", options(), "bag", "MULTISET");
        assertScanRefused("_offset BIGINT", options(), "_offset");
    }
}
