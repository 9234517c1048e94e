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

/**
 * W5: a writer in a process of its own that is killed, as by {@code kill -9}, while its transaction is open. The process comes up
 * before what is measured and waits for a line, so that neither its start disturbs the figures nor a busy machine delays it.
 */
final class KilledWriter implements AutoCloseable {
    private static final String UP = "the process is up";
    private static final String OPEN = "the transaction is open";
    private static final int EVENTS = 100_000;
    private static final int EVENTS_OF_A_BLOCK = 1000;
    /** Kafka's broker ends the transaction of a producer that is gone after this time. */
    private static final String KAFKA_TIMEOUT_MS = "10000";
    /** For what was queued to reach the gateway. */
    private static final Duration ON_THE_WAY = Duration.ofSeconds(1);

    private final Process process;
    private final BufferedReader lines;

    private KilledWriter(Process process) {
        this.process = process;
        this.lines = process.inputReader(StandardCharsets.UTF_8);
    }

    /** Starts the process with this one's class path and waits until it is up. */
    static KilledWriter start(Arguments arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(
                ProcessHandle.current().info().command().orElse("java"), "-Xmx256m", "-cp", System.getProperty("java.class.path"),
                Main.class.getName(), "open-transaction"));
        for (String key : List.of("system", "endpoint", "stream")) {
            command.add(key + "=" + arguments.text(key));
        }
        var writer = new KilledWriter(new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start());
        writer.await(UP);
        return writer;
    }

    /** Lets it open its transaction, waits until that is done, and kills it. */
    void openAndKill() throws Exception {
        try (var words = process.outputWriter(StandardCharsets.UTF_8)) {
            words.write("open\n");
            words.flush();
            await(OPEN);
            close();
        }
    }

    private void await(String line) throws Exception {
        for (String read = lines.readLine(); !line.equals(read); read = lines.readLine()) {
            if (read == null) {
                throw new IllegalStateException("the writer that was to be killed ended before: exit code " + process.waitFor());
            }
        }
    }

    @Override
    public void close() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /** Opens the transaction of a writer that is ready for it. */
    private interface Opening {
        void open() throws Exception;
    }

    /** The process: writes into a transaction when it is told to, says so, and waits for its end. */
    static void run(Arguments arguments) throws Exception {
        Opening opening = arguments.text("system").equals("kafka") ? inKafka(arguments) : inSluice(arguments);
        System.out.println(UP);
        // without a line the one who started it has ended
        if (new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)).readLine() == null) {
            return;
        }
        opening.open();
        System.out.println(OPEN);
        Thread.sleep(Long.MAX_VALUE);
    }

    private static Opening inKafka(Arguments arguments) {
        Properties properties = Peer.producer();
        properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("endpoint"));
        properties.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, "killed-" + arguments.text("stream"));
        properties.put(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, KAFKA_TIMEOUT_MS);
        var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
        producer.initTransactions();
        return () -> {
            producer.beginTransaction();
            Payloads payloads = new Payloads(100, 0);
            for (int event = 0; event < EVENTS; event++) {
                producer.send(new ProducerRecord<>(arguments.text("stream"), payloads.next()));
            }
            producer.flush();
        };
    }

    private static Opening inSluice(Arguments arguments) throws Exception {
        String stream = arguments.text("stream");
        SluiceClient client = SluiceClient.acquire(arguments.text("endpoint"));
        SinkName sink = Names.sink(stream, "killed");
        GetStreamRequest get = GetStreamRequest.newBuilder().setStream(Names.stream(stream)).build();
        long streamId = client.call(Rpc.GET_STREAM, get).getStream().getStreamId();
        long epoch = PrepareMany.openWriter(client, sink, UUID.randomUUID(), 0, 1);
        var transaction = new TransactionStream(client, sink, 0, epoch, Duration.ofMinutes(1));
        return () -> {
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
        };
    }
}
