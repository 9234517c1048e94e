package io.sluice.flink.client;

import io.sluice.proto.gateway.v1.SinkName;
import io.sluice.proto.gateway.v1.StreamName;
import org.apache.flink.annotation.Internal;

import java.util.regex.Pattern;

/** Names of scopes, streams, sinks and groups: {@code [a-z0-9][a-z0-9._-]{0,127}}; pairs are written {@code scope/name}. */
@Internal
public final class Names {

    private static final Pattern NAME = Pattern.compile("[a-z0-9][a-z0-9._-]{0,127}");

    private Names() {}

    /** Parses {@code scope/stream}. */
    public static StreamName stream(String text) {
        String[] parts = pair(text, "stream");
        return StreamName.newBuilder().setScope(parts[0]).setName(parts[1]).build();
    }

    /** Parses {@code scope/sink}, or {@code sink} in the scope given. */
    public static SinkName sink(String text, String defaultScope) {
        String full = text != null && text.indexOf('/') < 0 ? defaultScope + "/" + text : text;
        String[] parts = pair(full, "sink id");
        return SinkName.newBuilder().setScope(parts[0]).setName(parts[1]).build();
    }

    /** {@code scope/name}. */
    public static String format(StreamName stream) {
        return stream.getScope() + "/" + stream.getName();
    }

    /** {@code scope/name}. */
    public static String format(SinkName sink) {
        return sink.getScope() + "/" + sink.getName();
    }

    /** The name itself, if it follows the rule. */
    public static String check(String name, String what) {
        if (name == null || !NAME.matcher(name).matches()) {
            throw new IllegalArgumentException(
                    what + " '" + name + "' is not a name: use 1 to 128 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit");
        }
        return name;
    }

    private static String[] pair(String text, String what) {
        int slash = text == null ? -1 : text.indexOf('/');
        if (slash < 0) {
            throw new IllegalArgumentException(what + " '" + text + "' has no scope: write it as scope/name");
        }
        return new String[] {
            check(text.substring(0, slash), "scope of " + what), check(text.substring(slash + 1), what)
        };
    }
}
