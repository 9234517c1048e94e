package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;
import org.apache.flink.util.ExceptionUtils;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Streams as SQL tables: inserting, projecting, metadata, limits, watermarks, parallelism, and tables that don't fit their stream. */
@Tag("slow")
class SqlITCase {
    private static GatewayProcess gateway;
    private static TestStreams streams;
    private static Cluster cluster;

    @BeforeAll
    static void start() throws Exception {
        gateway = GatewayProcess.start();
        streams = new TestStreams(gateway);
        cluster = Cluster.start(1, 4);
        TableEnvironment tables = streaming();
        create(tables, "flights", "nyc/flights", "'sink.id' = 'flights', 'stream.segments' = '3', 'routing-key.fields' = 'carrier'");
        String rows = IntStream.range(0, 60)
                .mapToObj(i -> "('" + "ABC".charAt(i % 3) + "', " + i + ", TIMESTAMP '2013-01-01 00:00:" + String.format("%02d", i) + "')")
                .collect(Collectors.joining(", "));
        tables.executeSql("INSERT INTO flights VALUES " + rows).await(60, TimeUnit.SECONDS);
    }

    @AfterAll
    static void stop() {
        cluster.close();
        streams.close();
        gateway.close();
    }

    private static TableEnvironment streaming() {
        TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
        tables.getConfig().set("parallelism.default", "2");
        tables.getConfig().set("table.local-time-zone", "UTC");
        return tables;
    }

    private static TableEnvironment batch() {
        TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.inBatchMode());
        tables.getConfig().set("parallelism.default", "2");
        return tables;
    }

    private static void create(TableEnvironment tables, String table, String stream, String more) {
        tables.executeSql("CREATE TABLE " + table + " (carrier STRING, id INT, dep TIMESTAMP(3)) WITH ('connector' = 'sluice', 'endpoint' = '"
                + gateway.endpoint() + "', 'stream' = '" + stream + "'" + (more.isEmpty() ? "" : ", " + more) + ")");
    }

    private static List<Row> query(TableEnvironment tables, String sql) throws Exception {
        List<Row> rows = new ArrayList<>();
        try (CloseableIterator<Row> result = tables.executeSql(sql).collect()) {
            result.forEachRemaining(rows::add);
        }
        return rows;
    }

    @Test
    void whatWasInsertedIsReadInBothModes() throws Exception {
        assertThat(streams.describe("nyc/flights").getSegmentsCount()).isEqualTo(3);
        assertThat(streams.describe("nyc/flights").getRoutingKeyList()).containsExactly("carrier");
        for (TableEnvironment tables : List.of(streaming(), batch())) {
            create(tables, "t", "nyc/flights", "'scan.bounded.mode' = 'latest'");
            assertThat(query(tables, "SELECT id, carrier FROM t")).containsExactlyInAnyOrderElementsOf(
                    IntStream.range(0, 60).mapToObj(i -> Row.of(i, String.valueOf("ABC".charAt(i % 3)))).collect(Collectors.toList()));
        }
        TableEnvironment tables = batch();
        create(tables, "t", "nyc/flights", "'scan.bounded.mode' = 'latest'");
        assertThat(query(tables, "SELECT carrier, COUNT(*), SUM(id) FROM t GROUP BY carrier"))
                .containsExactlyInAnyOrder(Row.of("A", 20L, 570), Row.of("B", 20L, 590), Row.of("C", 20L, 610));
        assertThat(query(tables, "SELECT COUNT(*) FROM t")).containsExactly(Row.of(60L));
        assertThat(query(tables, "SELECT * FROM t LIMIT 7")).hasSize(7);
    }

    @Test
    void onlyWantedColumnsAreReadAndMetadataIsTrue() throws Exception {
        long before = System.currentTimeMillis();
        TableEnvironment tables = batch();
        tables.executeSql("CREATE TABLE m (carrier STRING, id INT, dep TIMESTAMP(3),"
                + " o BIGINT METADATA FROM 'offset' VIRTUAL, s INT METADATA FROM 'segment' VIRTUAL,"
                + " commit_seq BIGINT METADATA VIRTUAL, commit_time TIMESTAMP_LTZ(3) METADATA VIRTUAL)"
                + " WITH ('connector' = 'sluice', 'endpoint' = '" + gateway.endpoint() + "', 'stream' = 'nyc/flights',"
                + " 'scan.bounded.mode' = 'latest')");
        String sql = "SELECT id, s, o, commit_time, commit_seq FROM m";
        assertThat(tables.explainSql(sql)).contains("project=[id]").contains("metadata=[");
        List<Row> rows = query(tables, sql);
        assertThat(rows).hasSize(60);
        for (int segment = 0; segment < 3; segment++) {
            int number = segment;
            List<Long> offsets = rows.stream().filter(row -> (int) row.getField(1) == number).map(row -> (Long) row.getField(2))
                    .sorted().collect(Collectors.toList());
            assertThat(offsets).isEqualTo(IntStream.range(0, offsets.size()).mapToObj(Long::valueOf).collect(Collectors.toList()));
        }
        assertThat(rows).allSatisfy(row -> {
            assertThat((Instant) row.getField(3)).isBetween(Instant.ofEpochMilli(before).minusSeconds(120), Instant.now());
            assertThat((Long) row.getField(4)).isPositive();
        });
    }

    @Test
    void watermarksComeFromTheSegments() throws Exception {
        TableEnvironment tables = streaming();
        tables.executeSql("CREATE TABLE w (carrier STRING, id INT, dep TIMESTAMP(3), WATERMARK FOR dep AS dep - INTERVAL '1' SECOND) WITH"
                + " ('connector' = 'sluice', 'endpoint' = '" + gateway.endpoint() + "', 'stream' = 'nyc/flights',"
                + " 'scan.bounded.mode' = 'latest', 'scan.parallelism' = '1')");
        String sql = "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE w, DESCRIPTOR(dep), INTERVAL '30' SECOND))"
                + " GROUP BY window_start, window_end";
        assertThat(tables.explainSql(sql)).contains("watermark=[");
        assertThat(query(tables, sql)).containsExactlyInAnyOrder(
                Row.of(LocalDateTime.of(2013, 1, 1, 0, 0, 0), 30L), Row.of(LocalDateTime.of(2013, 1, 1, 0, 0, 30), 30L));
    }

    @Test
    void insertsSelectFromOtherStreamsWithoutUid() throws Exception {
        TableEnvironment tables = streaming();
        tables.getConfig().set("execution.checkpointing.interval", "200 ms");
        create(tables, "t", "nyc/flights", "'scan.bounded.mode' = 'latest', 'scan.rate-limit' = '60'");
        create(tables, "copy", "nyc/copy", "'sink.id' = 'copy', 'sink.parallelism' = '3'");
        tables.executeSql("INSERT INTO copy SELECT carrier, id + 1000, dep FROM t").await(60, TimeUnit.SECONDS);
        assertThat(streams.rows("nyc/copy").stream().map(row -> row.getInt(1)).collect(Collectors.toList()))
                .containsExactlyInAnyOrderElementsOf(IntStream.range(1000, 1060).boxed().collect(Collectors.toList()));
    }

    @Test
    void atLeastOnceNeedsNoSinkId() throws Exception {
        TableEnvironment tables = streaming();
        create(tables, "plain", "nyc/plain", "'sink.delivery-guarantee' = 'at-least-once'");
        tables.executeSql("INSERT INTO plain VALUES ('A', 1, CAST(NULL AS TIMESTAMP(3))), ('B', 2, CAST(NULL AS TIMESTAMP(3)))")
                .await(60, TimeUnit.SECONDS);
        assertThat(streams.rows("nyc/plain")).hasSize(2).allMatch(row -> row.isNullAt(2));
    }

    @Test
    void tablesUnlikeTheirStreamAreRefusedWhileTheStatementIsPlanned() {
        TableEnvironment tables = streaming();
        tables.executeSql("CREATE TABLE other (carrier STRING, id BIGINT, dep TIMESTAMP(3)) WITH ('connector' = 'sluice', 'endpoint' = '"
                + gateway.endpoint() + "', 'stream' = 'nyc/flights', 'sink.id' = 'other')");
        for (String sql : List.of("SELECT * FROM other", "INSERT INTO other VALUES ('A', 1, CAST(NULL AS TIMESTAMP(3)))")) {
            assertThatThrownBy(() -> tables.executeSql(sql).await(30, TimeUnit.SECONDS))
                    .satisfies(failure -> assertThat(ExceptionUtils.stringifyException(failure))
                            .contains("does not fit stream nyc/flights")
                            .contains("id")
                            .contains("INT")
                            .contains("BIGINT"));
        }
        create(tables, "routed", "nyc/flights", "'sink.id' = 'routed', 'routing-key.fields' = 'id'");
        assertThatThrownBy(() -> tables.executeSql("INSERT INTO routed SELECT * FROM routed"))
                .satisfies(failure -> assertThat(ExceptionUtils.stringifyException(failure)).contains("[id]").contains("[carrier]"));
        create(tables, "absent", "nyc/absent", "'stream.auto-create' = 'false'");
        assertThatThrownBy(() -> tables.executeSql("SELECT * FROM absent"))
                .satisfies(failure -> assertThat(ExceptionUtils.stringifyException(failure))
                        .contains("stream nyc/absent of table").contains("does not exist"));
    }

    @Test
    void updatesAreRefused() {
        TableEnvironment tables = streaming();
        create(tables, "t", "nyc/flights", "'scan.bounded.mode' = 'latest'");
        tables.executeSql("CREATE TABLE sums (carrier STRING, n BIGINT) WITH ('connector' = 'sluice', 'endpoint' = '" + gateway.endpoint()
                + "', 'stream' = 'nyc/sums', 'sink.id' = 'sums')");
        assertThatThrownBy(() -> tables.executeSql("INSERT INTO sums SELECT carrier, COUNT(*) FROM t GROUP BY carrier"))
                .hasMessageContaining("doesn't support consuming update changes");
    }

    @Test
    void aMissingStreamIsMadeByWhoeverComesFirst() throws Exception {
        TableEnvironment tables = batch();
        create(tables, "fresh", "fresh.scope/fresh", "'scan.bounded.mode' = 'latest', 'stream.segments' = '2'");
        assertThat(query(tables, "SELECT * FROM fresh")).isEmpty();
        assertThat(streams.describe("fresh.scope/fresh").getSegmentsCount()).isEqualTo(2);
    }
}
