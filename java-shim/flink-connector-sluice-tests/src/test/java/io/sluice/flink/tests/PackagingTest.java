package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;

/** What lies in the jar that SQL users put into Flink's lib folder: all of ours, nothing that could clash with Flink or the user's job. */
class PackagingTest {
    private static final Path TARGET = Path.of("..", "flink-sql-connector-sluice", "target");

    private static JarFile jar() throws IOException {
        assertThat(TARGET).as("the folder of the shaded jar; build it with `mvn package`").exists();
        try (Stream<Path> files = Files.list(TARGET)) {
            List<Path> jars = files.filter(file -> file.getFileName().toString().matches("flink-sql-connector-sluice-[0-9.]+\\.jar"))
                    .collect(Collectors.toList());
            assertThat(jars).as("shaded jars in " + TARGET + "; build one with `mvn package`").hasSize(1);
            return new JarFile(jars.get(0).toFile());
        }
    }

    private static List<String> entries(JarFile jar) {
        return jar.stream().filter(entry -> !entry.isDirectory()).map(ZipEntry::getName).collect(Collectors.toList());
    }

    @Test
    void allClassesAreOursOrRelocated() throws IOException {
        try (JarFile jar = jar()) {
            assertThat(entries(jar).stream().filter(name -> name.endsWith(".class")))
                    .allMatch(name -> name.startsWith("io/sluice/"));
            assertThat(entries(jar))
                    .contains(
                            "io/sluice/flink/table/SluiceDynamicTableFactory.class",
                            "io/sluice/flink/sink/SluiceSink.class",
                            "io/sluice/flink/source/SluiceSource.class",
                            "io/sluice/proto/gateway/v1/Block.class",
                            "io/sluice/flink/shaded/io/grpc/ManagedChannel.class",
                            "io/sluice/flink/shaded/com/google/protobuf/Message.class");
        }
    }

    @Test
    void flinkAndLoggingAreNotBundled() throws IOException {
        try (JarFile jar = jar()) {
            assertThat(entries(jar)).noneMatch(name -> name.contains("org/apache/flink/") || name.contains("org/slf4j/")
                    || name.contains("org/apache/logging/"));
        }
    }

    @Test
    void nothingIsBundledThatNobodyUses() throws IOException {
        try (JarFile jar = jar()) {
            assertThat(entries(jar))
                    .noneMatch(name -> name.endsWith(".proto") || name.endsWith(".so") || name.endsWith(".dll") || name.endsWith(".jnilib"))
                    .noneMatch(name -> name.startsWith("META-INF/maven/") || name.endsWith("module-info.class"));
        }
        long bytes = Files.size(Path.of(jarName()));
        assertThat(bytes).as("bytes of the jar").isLessThan(16L << 20);
    }

    private static String jarName() throws IOException {
        try (JarFile jar = jar()) {
            return jar.getName();
        }
    }

    @Test
    void servicesAreFoundUnderTheirNewNames() throws IOException {
        try (JarFile jar = jar()) {
            assertThat(text(jar, "META-INF/services/org.apache.flink.table.factories.Factory"))
                    .contains("io.sluice.flink.table.SluiceDynamicTableFactory");
            List<String> services = entries(jar).stream().filter(name -> name.startsWith("META-INF/services/")).collect(Collectors.toList());
            assertThat(services).anyMatch(name -> name.startsWith("META-INF/services/io.sluice.flink.shaded.io.grpc."));
            for (String service : services) {
                for (String implementation : text(jar, service).lines().map(String::trim).filter(line -> !line.isEmpty() && !line.startsWith("#")).collect(Collectors.toList())) {
                    assertThat(jar.getEntry(implementation.replace('.', '/') + ".class")).as(service + " names " + implementation).isNotNull();
                }
            }
        }
    }

    @Test
    void classFilesRunOnJava11() throws IOException {
        try (JarFile jar = jar();
                InputStream in = jar.getInputStream(jar.getEntry("io/sluice/flink/source/SluiceSource.class"))) {
            byte[] header = in.readNBytes(8);
            assertThat((header[6] << 8) + header[7]).as("class file version").isEqualTo(55);
        }
    }

    private static String text(JarFile jar, String name) throws IOException {
        assertThat(jar.getEntry(name)).as(name).isNotNull();
        try (InputStream in = jar.getInputStream(jar.getEntry(name))) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
