package io.sluice.bench;

import io.sluice.bench.BenchTables.Rows;
import java.time.Duration;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ExecutionOptions;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/** One SQL statement over a table of one system: W3 and W8, and W1 and W2 for systems that only have tables. */
final class Sql {
    private Sql() {}

    static void run(Arguments arguments) throws Exception {
        String action = arguments.text("action");
        Rows rows = Rows.valueOf(arguments.text("rows").toUpperCase());
        try (LocalFlink flink = LocalFlink.start()) {
            Configuration settings = flink.settings(Duration.ofMillis(arguments.number("checkpoint_ms", 1000)));
            boolean batch = arguments.text("mode", "streaming").equals("batch");
            if (batch) {
                settings.set(ExecutionOptions.RUNTIME_MODE, RuntimeExecutionMode.BATCH);
            }
            // a COUNT and a SUM that send every step on would measure nothing but themselves
            settings.setString("table.exec.mini-batch.enabled", "true");
            settings.setString("table.exec.mini-batch.allow-latency", "1 s");
            settings.setString("table.exec.mini-batch.size", "50000");
            // its other sink fails on Flink 2: Kryo cannot read what it sends between operators
            settings.setString("table.exec.iceberg.use-v2-sink", "true");
            StreamTableEnvironment tables = StreamTableEnvironment.create(new StreamExecutionEnvironment(settings));
            String table = Tables.create(tables, arguments, rows);
            JobID job = tables.executeSql(statement(tables, arguments, action, rows, table)).getJobClient().orElseThrow().getJobID();
            double seconds = flink.await(job);
            report(action, batch, seconds).times("checkpoint", flink.checkpointMillis(job)).print();
        }
    }

    private static Report report(String action, boolean batch, double jobSeconds) {
        if (action.equals("insert")) {
            return Progress.untilNow();
        }
        // the sums of a batch are taken when everything was read
        return batch && !action.equals("read") ? Progress.during(jobSeconds) : Progress.untilEnd();
    }

    private static String statement(StreamTableEnvironment tables, Arguments arguments, String action, Rows rows, String table) {
        switch (action) {
            case "insert":
                bench(tables, "generator", rows, "'size' = '" + arguments.text("size", "100") + "', 'seconds' = '"
                        + arguments.text("seconds") + "', 'records' = '" + arguments.number("records", Long.MAX_VALUE) + "'");
                return "INSERT INTO " + table + " SELECT * FROM generator";
            case "read":
                bench(tables, "counter", rows, "");
                return "INSERT INTO counter SELECT * FROM " + table;
            case "sum":
                bench(tables, "sums", Rows.SUMS, "");
                return "INSERT INTO sums SELECT COUNT(*), SUM(price) FROM " + table;
            case "group":
                bench(tables, "sums", Rows.SUMS, "");
                return "INSERT INTO sums SELECT COUNT(*), SUM(price) FROM " + table + " GROUP BY `channel`";
            default:
                throw new IllegalArgumentException("unknown action " + action);
        }
    }

    private static void bench(StreamTableEnvironment tables, String name, Rows rows, String options) {
        tables.executeSql("CREATE TEMPORARY TABLE " + name + " (" + rows.columns + ") WITH ('connector' = 'bench', 'rows' = '"
                + rows.name() + "'" + (options.isEmpty() ? "" : ", " + options) + ")");
    }
}
