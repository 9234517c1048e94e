package io.sluice.flink.table;

import io.sluice.flink.source.SluiceSourceBuilder;
import io.sluice.flink.source.StartingPositions;
import io.sluice.flink.source.StoppingPositions;
import java.util.Map;
import java.util.TreeMap;
import javax.annotation.Nullable;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.ValidationException;

/** The {@code scan.*} options of a table, checked. Immutable. */
final class ScanOptions {
    private final StartingPositions starting;
    private final StoppingPositions stopping;
    private final ReadableConfig options;
    @Nullable final Integer parallelism;

    private ScanOptions(StartingPositions starting, StoppingPositions stopping, ReadableConfig options) {
        this.starting = starting;
        this.stopping = stopping;
        this.options = options;
        this.parallelism = options.getOptional(SluiceConnectorOptions.SCAN_PARALLELISM).orElse(null);
    }

    static ScanOptions of(ReadableConfig options) {
        double rate = options.get(SluiceConnectorOptions.SCAN_RATE_LIMIT);
        if (!(rate >= 0) || Double.isInfinite(rate)) {
            throw new ValidationException("option 'scan.rate-limit' = '" + rate + "' is out of range: it is rows per second, 0 for no limit");
        }
        if (options.get(SluiceConnectorOptions.SCAN_READ_MEMORY).compareTo(MemorySize.ofMebiBytes(1)) < 0) {
            throw new ValidationException("option 'scan.read-memory' = '" + options.get(SluiceConnectorOptions.SCAN_READ_MEMORY)
                    + "' is too small: give at least 1 mb");
        }
        if (options.get(SluiceConnectorOptions.SCAN_RECONNECT_TIMEOUT).toMillis() < 1000) {
            throw new ValidationException("option 'scan.reconnect-timeout' is too short: give at least 1 s");
        }
        return new ScanOptions(starting(options), stopping(options), options);
    }

    private static StartingPositions starting(ReadableConfig options) {
        SluiceConnectorOptions.StartupMode mode = options.get(SluiceConnectorOptions.SCAN_STARTUP_MODE);
        String name = "scan.startup.mode";
        onlyWith(options, SluiceConnectorOptions.SCAN_STARTUP_TIMESTAMP_MILLIS, name, mode, SluiceConnectorOptions.StartupMode.TIMESTAMP);
        onlyWith(options, SluiceConnectorOptions.SCAN_STARTUP_POSITIONS, name, mode, SluiceConnectorOptions.StartupMode.POSITIONS);
        switch (mode) {
            case EARLIEST:
                return StartingPositions.earliest();
            case LATEST:
                return StartingPositions.latest();
            case TIMESTAMP:
                return StartingPositions.timestamp(needed(options, SluiceConnectorOptions.SCAN_STARTUP_TIMESTAMP_MILLIS, name, mode));
            case POSITIONS:
                return StartingPositions.positions(
                        ofStream(options, SluiceConnectorOptions.SCAN_STARTUP_POSITIONS, needed(options, SluiceConnectorOptions.SCAN_STARTUP_POSITIONS, name, mode)));
            case GROUP_OFFSETS:
                needed(options, SluiceConnectorOptions.SCAN_GROUP, name, mode);
                return StartingPositions.groupOffsets();
            default:
                throw new IllegalStateException(mode.toString());
        }
    }

    private static StoppingPositions stopping(ReadableConfig options) {
        SluiceConnectorOptions.BoundedMode mode = options.get(SluiceConnectorOptions.SCAN_BOUNDED_MODE);
        String name = "scan.bounded.mode";
        onlyWith(options, SluiceConnectorOptions.SCAN_BOUNDED_TIMESTAMP_MILLIS, name, mode, SluiceConnectorOptions.BoundedMode.TIMESTAMP);
        onlyWith(options, SluiceConnectorOptions.SCAN_BOUNDED_POSITIONS, name, mode, SluiceConnectorOptions.BoundedMode.POSITIONS);
        switch (mode) {
            case UNBOUNDED:
                return StoppingPositions.unbounded();
            case LATEST:
                return StoppingPositions.latest();
            case TIMESTAMP:
                return StoppingPositions.timestamp(needed(options, SluiceConnectorOptions.SCAN_BOUNDED_TIMESTAMP_MILLIS, name, mode));
            case POSITIONS:
                return StoppingPositions.positions(
                        ofStream(options, SluiceConnectorOptions.SCAN_BOUNDED_POSITIONS, needed(options, SluiceConnectorOptions.SCAN_BOUNDED_POSITIONS, name, mode)));
            default:
                throw new IllegalStateException(mode.toString());
        }
    }

    private static Map<String, TreeMap<Integer, Long>> ofStream(ReadableConfig options, ConfigOption<String> option, String text) {
        return Map.of(options.get(SluiceConnectorOptions.STREAM), PositionsOption.parse(option.key(), text));
    }

    private static <V> V needed(ReadableConfig options, ConfigOption<V> option, String name, Object mode) {
        return options.getOptional(option).orElseThrow(
                () -> new ValidationException("option '" + name + "' = '" + mode + "' needs option '" + option.key() + "'"));
    }

    private static void onlyWith(ReadableConfig options, ConfigOption<?> option, String name, Object mode, Object neededMode) {
        if (mode != neededMode && options.getOptional(option).isPresent()) {
            throw new ValidationException("option '" + option.key() + "' has no effect with '" + name + "' = '" + mode + "': set '" + name
                    + "' = '" + neededMode + "' or remove it");
        }
    }

    boolean isBounded() {
        return stopping.mode() != StoppingPositions.Mode.UNBOUNDED;
    }

    <T> void applyTo(SluiceSourceBuilder<T> builder) {
        builder.setStartingPositions(starting)
                .setStoppingPositions(stopping)
                .setRateLimit(options.get(SluiceConnectorOptions.SCAN_RATE_LIMIT))
                .setReadMemory(options.get(SluiceConnectorOptions.SCAN_READ_MEMORY))
                .setReconnectTimeout(options.get(SluiceConnectorOptions.SCAN_RECONNECT_TIMEOUT));
        options.getOptional(SluiceConnectorOptions.SCAN_GROUP).ifPresent(builder::setReaderGroup);
    }
}
