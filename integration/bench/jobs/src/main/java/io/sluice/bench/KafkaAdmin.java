package io.sluice.bench;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.NewTopic;

/**
 * Makes and removes the topics of one broker for as long as its standard input is open: {@code create <topic> <partitions>} or
 * {@code delete <topic>}, a line each, each answered by a line: {@code done}, or {@code failed: } and why. One process for all of
 * them, so that no run waits for a JVM only because of its topic.
 */
final class KafkaAdmin {
    private KafkaAdmin() {}

    static void run(Arguments arguments) throws Exception {
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (Admin admin = Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("endpoint")))) {
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                System.out.println(answer(admin, line.split(" ")));
                System.out.flush();
            }
        }
    }

    private static String answer(Admin admin, String[] words) throws InterruptedException {
        try {
            if (words[0].equals("create") && words.length == 3) {
                admin.createTopics(List.of(new NewTopic(words[1], Integer.parseInt(words[2]), (short) 1))).all().get();
            } else if (words[0].equals("delete") && words.length == 2) {
                admin.deleteTopics(List.of(words[1])).all().get();
            } else {
                return "failed: unknown words " + String.join(" ", words);
            }
            return "done";
        } catch (ExecutionException e) {
            return "failed: " + String.valueOf(e.getCause()).replace('\n', ' ');
        }
    }
}
