package io.sluice.bench;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;

/** Nexmark's bids: skewed over few hot auctions and bidders, one of a few channels, a link and some letters. */
final class Bids implements GeneratorSource.Generator<RowData> {
    static final String COLUMNS = "auction BIGINT NOT NULL, bidder BIGINT NOT NULL, price BIGINT NOT NULL, `channel` STRING NOT NULL,"
            + " `url` STRING NOT NULL, `dateTime` TIMESTAMP(3) NOT NULL, `extra` STRING NOT NULL";

    /** Three numbers and a time. */
    private static final int FIXED_BYTES = 4 * Long.BYTES;
    private static final int CHANNEL = 3;
    private static final int URL = 4;
    private static final int EXTRA = 6;
    private static final StringData[] HOT_CHANNELS = strings("Google", "Facebook", "Baidu", "Apple");
    private static final StringData[] CHANNELS =
            strings(IntStream.range(0, 10_000).mapToObj(number -> "channel-" + number).toArray(String[]::new));
    private static final byte[] LINK = "https://www.nexmark.com/_____/_____/_____/item.htm?query=1".getBytes(StandardCharsets.US_ASCII);
    private static final int EXTRA_LETTERS = 32;
    private static final long FIRST_MILLIS = 1_700_000_000_000L;

    private final Randoms randoms;
    private long count;
    private int bytes;

    Bids(int subtask) {
        randoms = new Randoms(subtask);
    }

    @Override
    public RowData next() {
        long random = randoms.next();
        GenericRowData row = new GenericRowData(7);
        row.setField(0, (random & 1) == 0 ? 1000 + count / 100 : 1000 + (random >>> 40));
        row.setField(1, (random & 6) != 0 ? 1000 + count / 400 : 1000 + (random >>> 36));
        row.setField(2, 100 + (random >>> 8) % 10_000_000);
        row.setField(CHANNEL, (random & 8) == 0
                ? HOT_CHANNELS[(int) (random >>> 4) & 3]
                : CHANNELS[(int) (random >>> 44) % CHANNELS.length]);
        byte[] link = LINK.clone();
        letters(link, 24, 5);
        letters(link, 30, 5);
        letters(link, 36, 5);
        row.setField(URL, StringData.fromBytes(link));
        row.setField(5, TimestampData.fromEpochMillis(FIRST_MILLIS + count / 10));
        byte[] extra = new byte[EXTRA_LETTERS];
        letters(extra, 0, EXTRA_LETTERS);
        row.setField(EXTRA, StringData.fromBytes(extra));
        count++;
        bytes = size(row);
        return row;
    }

    private static StringData[] strings(String... texts) {
        return Arrays.stream(texts).map(StringData::fromString).toArray(StringData[]::new);
    }

    private void letters(byte[] text, int from, int count) {
        long random = 0;
        for (int i = 0; i < count; i++) {
            if (i % 12 == 0) {
                random = randoms.next();
            }
            text[from + i] = (byte) ('a' + (random & 15) + (random >>> 4 & 7));
            random >>>= 5;
        }
    }

    @Override
    public int bytes() {
        return bytes;
    }

    /** Bytes of a bid's values. Looks at every string, so a reader has to have read them. */
    static int size(RowData row) {
        return FIXED_BYTES + length(row, CHANNEL) + length(row, URL) + length(row, EXTRA);
    }

    private static int length(RowData row, int column) {
        return ((BinaryStringData) row.getString(column)).getSizeInBytes();
    }
}
