package io.sluice.flink.data;

import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinarySegmentUtils;
import org.apache.flink.table.data.binary.BinaryStringData;

/** Single values as their Arrow bytes; the same for columns and for routing keys. */
final class Values {

    private static final int UNBOUNDED = Integer.MAX_VALUE;

    private Values() {}

    /** Adds the unscaled value as a 128-bit little endian integer. */
    static void addDecimal(GrowingBytes out, DecimalData value, String path, int precision, int scale) {
        if (value == null || value.precision() > precision || value.scale() != scale) {
            throw new InvalidRowException(path, "holds " + value + ", which does not fit DECIMAL(" + precision + ", " + scale + ")");
        }
        if (value.isCompact()) {
            long unscaled = value.toUnscaledLong();
            out.addLong(unscaled);
            out.addLong(unscaled >> 63);
            return;
        }
        byte[] bigEndian = value.toUnscaledBytes();
        byte sign = (byte) (bigEndian[0] < 0 ? -1 : 0);
        int at = out.extend(16);
        for (int i = 0; i < 16; i++) {
            int from = bigEndian.length - 1 - i;
            out.bytes[at + i] = from >= 0 ? bigEndian[from] : sign;
        }
    }

    /** Milliseconds up to precision 3, microseconds up to 6, nanoseconds up to 9. */
    static long timestamp(TimestampData value, String path, int precision) {
        long millis = value.getMillisecond();
        if (precision <= 3) {
            return millis;
        }
        try {
            long perMilli = precision <= 6 ? 1_000L : 1_000_000L;
            long rest = value.getNanoOfMillisecond() / (1_000_000L / perMilli);
            // One millisecond is kept apart: the smallest value's milliseconds alone would overflow, the value itself does not.
            return millis >= 0
                    ? Math.addExact(Math.multiplyExact(millis, perMilli), rest)
                    : Math.addExact(Math.multiplyExact(millis + 1, perMilli), rest - perMilli);
        } catch (ArithmeticException e) {
            throw new InvalidRowException(
                    path,
                    "holds " + value + ", which is outside the range of a timestamp of precision " + precision
                            + (precision > 6 ? " (1677-09-21 to 2262-04-11); use precision 6 or less" : ""));
        }
    }

    /** Adds UTF-8 bytes and returns their number. CHAR is padded with spaces; what is too long is refused. */
    static int addString(GrowingBytes out, StringData value, String path, int maxChars, boolean pad) {
        BinaryStringData string = (BinaryStringData) value;
        string.ensureMaterialized();
        int length = string.getSizeInBytes();
        int at = out.extend(length);
        BinarySegmentUtils.copyToBytes(string.getSegments(), string.getOffset(), out.bytes, at, length);
        if (maxChars == UNBOUNDED || (!pad && length <= maxChars)) {
            return length;
        }
        int chars = string.numChars();
        if (chars > maxChars) {
            throw new InvalidRowException(
                    path, "holds a string of " + chars + " characters, at most " + maxChars + " are allowed");
        }
        int padding = pad ? maxChars - chars : 0;
        out.addFilled((byte) ' ', padding);
        return length + padding;
    }

    /** Adds bytes and returns their number. BINARY is padded with zeros; what is too long is refused. */
    static int addBinary(GrowingBytes out, byte[] value, String path, int maxBytes, boolean pad) {
        if (value.length > maxBytes) {
            throw new InvalidRowException(path, "holds " + value.length + " bytes, at most " + maxBytes + " are allowed");
        }
        out.add(value, 0, value.length);
        int padding = pad ? maxBytes - value.length : 0;
        out.addFilled((byte) 0, padding);
        return value.length + padding;
    }
}
