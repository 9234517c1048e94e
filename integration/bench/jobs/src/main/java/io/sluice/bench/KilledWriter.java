package io.sluice.bench;

import io.sluice.flink.client.Names;
import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.TransactionStream;
import io.sluice.flink.data.BytesBlockBuilder;
import io.sluice.proto.gateway.v1.GetStreamRequest;
import io.sluice.proto.gateway.v1.SinkName;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** W5: a writer in a process of its own that is killed, as by {@code kill -9}, while its transaction is open. */
final class KilledWriter {
    private static final String OPEN = "the transaction is open";
    private static final int EVENTS = 100_000;
    private static final int EVENTS_OF_A_BLOCK = 1000;
    /** Kafka's broker ends the transaction of a producer that is gone after this time. */
    private static final String KAFKA_TIMEOUT_MS = "10000";
    /** For what was queued to reach the gateway. */
    private static final Duration ON_THE_WAY = Duration.ofSeconds(1);

    private KilledWriter() {}

    /** Starts the process with this one's class path, waits until its transaction is open, and kills it. */
    static void startAndKill(Arguments arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(
                ProcessHandle.current().info().command().orElse("java"), "-Xmx256m", "-cp", System.getProperty("java.class.path"),
                Main.class.getName(), "open-transaction"));
        for (String key : List.of("system", "endpoint", "stream")) {
            command.add(key + "=" + arguments.text(key));
        }
        Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        try (var lines = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            if (lines.lines().noneMatch(OPEN::equals)) {
                throw new IllegalStateException("the writer that was to be killed ended before: exit code " + process.waitFor());
            }
        } finally {
            process.destroyForcibly().waitFor();
        }
    }

    /** The process: writes into a transaction, says so, and waits for its end. */
    static void run(Arguments arguments) throws Exception {
        if (arguments.text("system").equals("kafka")) {
            openInKafka(arguments);
        } else {
            openInSluice(arguments);
        }
        System.out.println(OPEN);
        Thread.sleep(Long.MAX_VALUE);
    }

    private static void openInKafka(Arguments arguments) {
        Properties properties = Peer.producer();
        properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("endpoint"));
        properties.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, "killed-" + arguments.text("stream"));
        properties.put(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, KAFKA_TIMEOUT_MS);
        var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
        producer.initTransactions();
        producer.beginTransaction();
        Payloads payloads = new Payloads(100, 0);
        for (int event = 0; event < EVENTS; event++) {
            producer.send(new ProducerRecord<>(arguments.text("stream"), payloads.next()));
        }
        producer.flush();
    }

    private static void openInSluice(Arguments arguments) throws Exception {
        String stream = arguments.text("stream");
        SluiceClient client = SluiceClient.acquire(arguments.text("endpoint"));
        SinkName sink = Names.sink(stream, "killed");
        GetStreamRequest get = GetStreamRequest.newBuilder().setStream(Names.stream(stream)).build();
        long streamId = client.call(Rpc.GET_STREAM, get).getStream().getStreamId();
        long epoch = PrepareMany.openWriter(client, sink, UUID.randomUUID(), 0, 1);
        var transaction = new TransactionStream(client, sink, 0, epoch, Duration.ofMinutes(1));
        transaction.begin();
        Payloads payloads = new Payloads(100, 0);
        for (int written = 0; written < EVENTS; written += EVENTS_OF_A_BLOCK) {
            BytesBlockBuilder block = new BytesBlockBuilder();
            for (int event = 0; event < EVENTS_OF_A_BLOCK; event++) {
                block.append(null, payloads.next(), null, null);
            }
            transaction.append(streamId, written / EVENTS_OF_A_BLOCK % PrepareMany.SEGMENTS, block.finish());
        }
        Thread.sleep(ON_THE_WAY.toMillis());
    }
}
