package io.sluice.flink.table;

import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.table.api.ValidationException;

/** Parses {@code segment:0,offset:42;segment:1,offset:300}. */
final class PositionsOption {
    private static final Pattern POSITION = Pattern.compile("\\s*segment\\s*:\\s*(\\d{1,9})\\s*,\\s*offset\\s*:\\s*(\\d{1,18})\\s*");

    private PositionsOption() {}

    /** Segment to offset. */
    static TreeMap<Integer, Long> parse(String option, String text) {
        TreeMap<Integer, Long> positions = new TreeMap<>();
        for (String part : text.split(";", -1)) {
            Matcher position = POSITION.matcher(part);
            if (!position.matches()) {
                throw new ValidationException("option '" + option + "' = '" + text
                        + "' is malformed: write it as 'segment:0,offset:42;segment:1,offset:300'");
            }
            int segment = Integer.parseInt(position.group(1));
            if (positions.put(segment, Long.parseLong(position.group(2))) != null) {
                throw new ValidationException("option '" + option + "' = '" + text + "' names segment " + segment + " twice");
            }
        }
        return positions;
    }
}
