package io.sluice.flink.tests;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A real gateway: the {@code sluice} binary on free ports with a data directory of its own. It can be killed with -9 and started again on
 * the same ports and data. Its log is printed when it does not start.
 */
final class GatewayProcess implements AutoCloseable {
    private static final Duration START_TIMEOUT = Duration.ofSeconds(30);

    private final Path binary;
    private final Path directory;
    private final int port;
    private final int httpPort;
    private Process process;

    private GatewayProcess(Path binary, Path directory, int port, int httpPort) {
        this.binary = binary;
        this.directory = directory;
        this.port = port;
        this.httpPort = httpPort;
    }

    /** A gateway that answers. */
    static GatewayProcess start() {
        try (ServerSocket one = freePort();
                ServerSocket other = freePort()) {
            Path directory = Files.createTempDirectory("sluice-test-");
            GatewayProcess gateway = new GatewayProcess(binary(), directory, one.getLocalPort(), other.getLocalPort());
            one.close();
            other.close();
            gateway.launch();
            return gateway;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static ServerSocket freePort() throws IOException {
        return new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
    }

    /** System property {@code sluice.binary}, environment variable SLUICE_BINARY, or what Cargo built last. */
    private static Path binary() {
        for (String named : new String[] {System.getProperty("sluice.binary"), System.getenv("SLUICE_BINARY")}) {
            if (named != null && !named.isBlank()) {
                if (!Files.isExecutable(Path.of(named))) {
                    throw new IllegalStateException("the gateway binary " + named + " does not exist or is not executable");
                }
                return Path.of(named).toAbsolutePath();
            }
        }
        Path root = Path.of(System.getProperty("sluice.root", "../.."));
        String cargo = System.getenv().getOrDefault("CARGO_TARGET_DIR", root.resolve("target").toString());
        return Stream.of("release", "debug")
                .map(profile -> Path.of(cargo, profile, "sluice"))
                .filter(Files::isExecutable)
                .max(Comparator.comparing(file -> file.toFile().lastModified()))
                .orElseThrow(() -> new IllegalStateException("no gateway binary in " + cargo
                        + ": run `cargo build -p sluice-gateway` or set SLUICE_BINARY"))
                .toAbsolutePath();
    }

    private void launch() {
        List<String> command = new ArrayList<>(List.of(
                binary.toString(), "serve",
                "--listen", "127.0.0.1:" + port,
                "--http-listen", "127.0.0.1:" + httpPort,
                "--data-dir", directory.resolve("data").toString()));
        File log = directory.resolve("gateway.log").toFile();
        try {
            ProcessBuilder builder = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(log));
            // The gateway takes every SLUICE_ variable for a setting.
            builder.environment().keySet().removeIf(name -> name.startsWith("SLUICE_"));
            process = builder.start();
            long deadline = System.nanoTime() + START_TIMEOUT.toNanos();
            while (!isHealthy()) {
                if (!process.isAlive() || System.nanoTime() > deadline) {
                    throw new IllegalStateException("the gateway did not start:\n" + Files.readString(log.toPath(), StandardCharsets.UTF_8));
                }
                Thread.sleep(20);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private boolean isHealthy() {
        try {
            HttpURLConnection connection =
                    (HttpURLConnection) URI.create("http://127.0.0.1:" + httpPort + "/health").toURL().openConnection();
            connection.setConnectTimeout(500);
            connection.setReadTimeout(500);
            return connection.getResponseCode() == 200;
        } catch (IOException e) {
            return false;
        }
    }

    String endpoint() {
        return "127.0.0.1:" + port;
    }

    /** It neither answers nor ends, until {@link #thaw}. */
    void freeze() throws IOException, InterruptedException {
        signal("STOP");
    }

    void thaw() throws IOException, InterruptedException {
        signal("CONT");
    }

    private void signal(String name) throws IOException, InterruptedException {
        if (new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).inheritIO().start().waitFor() != 0) {
            throw new IOException("the gateway could not be sent SIG" + name);
        }
    }

    /** kill -9. */
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /** Starts it again after {@link #kill}. */
    void restart() {
        if (process.isAlive()) {
            throw new IllegalStateException("the gateway still runs");
        }
        launch();
    }

    @Override
    public void close() {
        process.destroyForcibly();
        try {
            process.waitFor(10, TimeUnit.SECONDS);
            try (Stream<Path> files = Files.walk(directory)) {
                files.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
