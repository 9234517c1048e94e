package io.sluice.bench;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The words {@code key=value} of the command line. */
final class Arguments {
    private final Map<String, String> values = new HashMap<>();

    Arguments(List<String> words) {
        for (String word : words) {
            int equals = word.indexOf('=');
            if (equals < 1) {
                throw new IllegalArgumentException("'" + word + "' is not of the form key=value");
            }
            values.put(word.substring(0, equals), word.substring(equals + 1));
        }
    }

    String text(String key) {
        String value = values.get(key);
        if (value == null) {
            throw new IllegalArgumentException("missing argument " + key + "=...");
        }
        return value;
    }

    String text(String key, String otherwise) {
        return values.getOrDefault(key, otherwise);
    }

    long number(String key) {
        return Long.parseLong(text(key));
    }

    long number(String key, long otherwise) {
        return Long.parseLong(text(key, Long.toString(otherwise)));
    }
}
