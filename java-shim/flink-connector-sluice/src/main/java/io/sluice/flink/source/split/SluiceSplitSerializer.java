package io.sluice.flink.source.split;

import java.io.IOException;
import org.apache.flink.annotation.Internal;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.core.memory.DataOutputView;

/**
 * Splits as bytes. Version 1: scope UTF, stream UTF, stream number i64, segment i32, offset i64, end present bool, end i64 if present
 * ({@link java.io.DataOutput} encodings). Bytes of every released version are kept as test resources and stay readable.
 */
@Internal
public final class SluiceSplitSerializer implements SimpleVersionedSerializer<SluiceSplit> {
    public static final SluiceSplitSerializer INSTANCE = new SluiceSplitSerializer();

    private static final int VERSION = 1;

    @Override
    public int getVersion() {
        return VERSION;
    }

    @Override
    public byte[] serialize(SluiceSplit split) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(64);
        write(split, out);
        return out.getCopyOfBuffer();
    }

    @Override
    public SluiceSplit deserialize(int version, byte[] bytes) throws IOException {
        if (version != VERSION) {
            throw new IOException("splits of version " + version + " are not known to this connector, which writes version "
                    + VERSION + ": restore with the connector that wrote the state or a newer one");
        }
        DataInputDeserializer in = new DataInputDeserializer(bytes);
        SluiceSplit split = read(in);
        if (in.available() > 0) {
            throw new IOException("a split is followed by " + in.available() + " unexpected bytes");
        }
        return split;
    }

    /** Writes a split in the present version. */
    public static void write(SluiceSplit split, DataOutputView out) throws IOException {
        out.writeUTF(split.scope());
        out.writeUTF(split.stream());
        out.writeLong(split.streamId());
        out.writeInt(split.segment());
        out.writeLong(split.offset());
        out.writeBoolean(split.end().isPresent());
        if (split.end().isPresent()) {
            out.writeLong(split.end().getAsLong());
        }
    }

    /** Reads a split of version 1. */
    public static SluiceSplit read(DataInputView in) throws IOException {
        String scope = in.readUTF();
        String stream = in.readUTF();
        long streamId = in.readLong();
        int segment = in.readInt();
        long offset = in.readLong();
        Long end = in.readBoolean() ? in.readLong() : null;
        return new SluiceSplit(scope, stream, streamId, segment, offset, end);
    }
}
