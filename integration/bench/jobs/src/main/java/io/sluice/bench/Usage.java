package io.sluice.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** CPU time this JVM and the measured server have used, and their peak memory, as {@code /proc} tells. */
record Usage(double flinkSeconds, double serverSeconds) {
    /** Clock ticks per second in {@code /proc}: a constant of Linux's interface to programs. */
    private static final double TICKS_PER_SECOND = 100;

    /** The measured server's process; 0 for a system that has none. */
    private static volatile long server;

    static void ofServer(long pid) {
        server = pid;
    }

    static Usage now() {
        return new Usage(cpuSeconds("self"), server == 0 ? 0 : cpuSeconds(Long.toString(server)));
    }

    /** Adds the CPU seconds since then, and the most memory ever resident. */
    void addTo(Report report) {
        Usage now = now();
        report.put("cpu_flink_s", now.flinkSeconds - flinkSeconds).put("rss_flink_mb", peakMegabytes("self"));
        if (server != 0) {
            report.put("cpu_server_s", now.serverSeconds - serverSeconds)
                    .put("rss_server_mb", peakMegabytes(Long.toString(server)));
        }
    }

    private static double cpuSeconds(String process) {
        String line = read(Path.of("/proc", process, "stat"));
        // the name, in parentheses, may hold spaces; user and system time are the 14th and 15th field
        String[] fields = line.substring(line.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / TICKS_PER_SECOND;
    }

    private static double peakMegabytes(String process) {
        return read(Path.of("/proc", process, "status")).lines()
                .filter(line -> line.startsWith("VmHWM:"))
                .mapToDouble(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024 / 1e6)
                .findFirst()
                .orElseThrow();
    }

    private static String read(Path path) {
        try {
            return Files.readString(path);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
