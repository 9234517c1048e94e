package io.sluice.bench;

import io.sluice.bench.BenchTables.Rows;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.flink.table.api.TableEnvironment;

/** A table of each system, as a user would declare it. */
final class Tables {
    private Tables() {}

    /** Declares the table that {@code stream} names, with its rows' columns, and returns the name to use in a statement. */
    static String create(TableEnvironment tables, Arguments arguments, Rows rows) {
        String stream = arguments.text("stream");
        switch (arguments.text("system")) {
            case "sluice":
                return declare(tables, "events", rows, sluice(arguments, stream));
            case "kafka":
                return declare(tables, "events", rows, kafka(arguments, stream));
            case "blackhole":
                return declare(tables, "events", rows, Map.of("connector", "blackhole"));
            case "paimon":
                return inCatalog(tables, stream, rows, Map.of("type", "paimon", "warehouse", arguments.text("endpoint")),
                        Map.of("bucket", "-1", "file.format", "parquet"));
            case "iceberg":
                return inCatalog(tables, stream, rows,
                        Map.of("type", "iceberg", "catalog-type", "hadoop", "warehouse", arguments.text("endpoint")),
                        Map.of("format-version", "2"));
            default:
                throw new IllegalArgumentException("unknown system " + arguments.text("system"));
        }
    }

    private static Map<String, String> sluice(Arguments arguments, String stream) {
        return Map.of(
                "connector", "sluice",
                "endpoint", arguments.text("endpoint"),
                "stream", stream,
                "stream.segments", "2",
                "sink.id", stream.replace('/', '-'),
                "scan.bounded.mode", "latest");
    }

    private static Map<String, String> kafka(Arguments arguments, String topic) {
        Map<String, String> options = new LinkedHashMap<>();
        options.put("connector", "kafka");
        options.put("topic", topic);
        options.put("properties.bootstrap.servers", arguments.text("endpoint"));
        options.put("format", arguments.text("format"));
        options.put("sink.delivery-guarantee", "exactly-once");
        options.put("sink.transactional-id-prefix", topic);
        options.put("scan.startup.mode", "earliest-offset");
        options.put("scan.bounded.mode", "latest-offset");
        options.put("properties.isolation.level", "read_committed");
        Properties producer = Peer.producer();
        producer.forEach((key, value) -> options.put("properties." + key, value.toString()));
        return options;
    }

    private static String inCatalog(
            TableEnvironment tables, String table, Rows rows, Map<String, String> catalog, Map<String, String> options) {
        tables.executeSql("CREATE CATALOG peer WITH (" + words(catalog) + ")");
        tables.executeSql("CREATE DATABASE IF NOT EXISTS peer.bench");
        tables.executeSql("CREATE TABLE IF NOT EXISTS peer.bench." + table + " (" + rows.columns + ") WITH (" + words(options) + ")");
        return "peer.bench." + table;
    }

    private static String declare(TableEnvironment tables, String table, Rows rows, Map<String, String> options) {
        tables.executeSql("CREATE TEMPORARY TABLE " + table + " (" + rows.columns + ") WITH (" + words(options) + ")");
        return table;
    }

    private static String words(Map<String, String> options) {
        return options.entrySet().stream()
                .map(option -> "'" + option.getKey() + "' = '" + option.getValue() + "'")
                .collect(Collectors.joining(", "));
    }
}
