package io.sluice.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * Measured jobs, {@code <job> key=value ...}: one from the command line, or one after the other from the lines of standard input, so
 * that they find compiled what the ones before used. Each prints one line: its figures, or that it failed.
 */
public final class Main {
    private Main() {}

    public static void main(String[] words) throws IOException {
        boolean good = true;
        if (words.length > 0) {
            good = run(List.of(words));
        } else {
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = lines.readLine(); good && line != null; line = lines.readLine()) {
                good = run(List.of(line.split(" ")));
            }
        }
        // threads of a peer's client must not keep the figures waiting
        System.exit(good ? 0 : 1);
    }

    private static boolean run(List<String> words) {
        try {
            Arguments arguments = new Arguments(words.subList(1, words.size()));
            Usage.ofServer(arguments.number("server_pid", 0));
            Progress.reset();
            run(words.get(0), arguments);
            return true;
        } catch (Exception e) {
            e.printStackTrace();
            System.out.println("failed: " + e.toString().lines().findFirst().orElse(""));
            return false;
        }
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
