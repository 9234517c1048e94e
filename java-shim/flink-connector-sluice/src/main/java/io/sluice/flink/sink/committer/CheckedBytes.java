package io.sluice.flink.sink.committer;

import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.core.memory.DataOutputView;

import java.io.EOFException;
import java.io.IOException;
import java.util.UUID;
import java.util.zip.CRC32C;

/** Bytes that go into Flink's state: fields, then their CRC-32C. Cut, long or flipped bytes are refused. */
final class CheckedBytes {

    private static final int CHECKSUM_BYTES = 4;

    private CheckedBytes() {}

    interface Writer {
        void write(DataOutputView out) throws IOException;
    }

    interface Reader<T> {
        T read(DataInputView in) throws IOException;
    }

    static byte[] write(Writer fields) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(256);
        fields.write(out);
        out.writeInt(checksum(out.getSharedBuffer(), out.length()));
        return out.getCopyOfBuffer();
    }

    static <T> T read(String what, int version, byte[] bytes, Reader<T> fields) throws IOException {
        if (version != 1) {
            throw new IOException(
                    what + " in the job's state has version " + version + ", this connector reads version 1; use the connector that wrote it or a newer one");
        }
        int length = bytes.length - CHECKSUM_BYTES;
        if (length < 0 || new DataInputDeserializer(bytes, length, CHECKSUM_BYTES).readInt() != checksum(bytes, length)) {
            throw new IOException(what + " in the job's state is damaged: its checksum does not match");
        }
        DataInputDeserializer in = new DataInputDeserializer(bytes, 0, length);
        T value;
        try {
            value = fields.read(in);
        } catch (EOFException e) {
            throw new IOException(what + " in the job's state is cut", e);
        }
        if (in.available() != 0) {
            throw new IOException(what + " in the job's state is longer than it should be");
        }
        return value;
    }

    static void writeId(DataOutputView out, UUID id) throws IOException {
        out.writeLong(id.getMostSignificantBits());
        out.writeLong(id.getLeastSignificantBits());
    }

    static UUID readId(DataInputView in) throws IOException {
        return new UUID(in.readLong(), in.readLong());
    }

    static void writeOptionalId(DataOutputView out, UUID id) throws IOException {
        out.writeBoolean(id != null);
        if (id != null) {
            writeId(out, id);
        }
    }

    static UUID readOptionalId(DataInputView in) throws IOException {
        return in.readBoolean() ? readId(in) : null;
    }

    private static int checksum(byte[] bytes, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, 0, length);
        return (int) crc.getValue();
    }
}
