package io.sluice.bench;

import java.util.List;

/** One measured job in a JVM of its own: {@code Main <job> key=value ...}. */
public final class Main {
    private Main() {}

    public static void main(String[] words) {
        int exit = 0;
        try {
            run(words[0], new Arguments(List.of(words).subList(1, words.length)));
        } catch (Exception e) {
            e.printStackTrace();
            exit = 1;
        }
        // threads of a peer's client must not keep the figures waiting
        System.exit(exit);
    }

    private static void run(String job, Arguments arguments) throws Exception {
        switch (job) {
            case "write-bytes":
                WriteBytes.run(arguments);
                break;
            case "read-bytes":
                ReadBytes.run(arguments);
                break;
            case "latency":
                Latency.run(arguments);
                break;
            case "kafka-admin":
                KafkaAdmin.run(arguments);
                break;
            case "kafka-client":
                KafkaClient.run(arguments);
                break;
            case "kafka-fan-in":
                KafkaFanIn.run(arguments);
                break;
            case "sql":
                Sql.run(arguments);
                break;
            case "open-transaction":
                KilledWriter.run(arguments);
                break;
            case "prepare-many":
                PrepareMany.run(arguments);
                break;
            default:
                throw new IllegalArgumentException("unknown job " + job);
        }
    }
}
