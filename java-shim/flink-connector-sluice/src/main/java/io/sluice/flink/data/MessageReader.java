package io.sluice.flink.data;

import com.google.protobuf.ByteOutput;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import io.sluice.proto.gateway.v1.Block;
import org.apache.arrow.flatbuf.Buffer;
import org.apache.arrow.flatbuf.FieldNode;
import org.apache.arrow.flatbuf.Message;
import org.apache.arrow.flatbuf.MessageHeader;
import org.apache.arrow.flatbuf.RecordBatch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/**
 * Takes an encapsulated Arrow IPC RecordBatch message apart: nodes and buffers in order, each buffer proven to lie in the
 * message before anything is read from it.
 */
final class MessageReader {

    private static final int PREFIX = 8;

    private final CRC32C checksum = new CRC32C();
    private final Unwrapped unwrapped = new Unwrapped();
    private final FieldNode node = new FieldNode();
    private final Buffer buffer = new Buffer();

    private RecordBatch batch;
    private int body;
    private int bodyLength;
    private int nextNode;
    private int nextBuffer;

    /** The message's bytes, shared with the block. */
    byte[] bytes;

    /** Where the buffer read last starts in {@link #bytes}. */
    int bufferStart;

    /** Length of the buffer read last. */
    int bufferLength;

    /** Opens a block; {@link #nextNode} and {@link #nextBuffer} then go through it. */
    void open(Block block) throws IOException {
        unwrapped.unwrap(block.getData());
        bytes = unwrapped.bytes;
        checksum.reset();
        checksum.update(bytes, unwrapped.offset, unwrapped.length);
        if ((int) checksum.getValue() != block.getCrc32C()) {
            throw new IOException("the block's checksum does not match its bytes: they were damaged on the way or at rest");
        }
        parse(block.getRows());
    }

    private void parse(int rows) throws IOException {
        int start = unwrapped.offset;
        int length = unwrapped.length;
        if (length < PREFIX || LittleEndian.getInt(bytes, start) != 0xFFFFFFFF) {
            throw new IOException("the block is no Arrow IPC message");
        }
        int metadataLength = LittleEndian.getInt(bytes, start + 4);
        if (metadataLength <= 0 || metadataLength > length - PREFIX) {
            throw new IOException("the block's Arrow header claims " + metadataLength + " bytes of " + length);
        }
        ByteBuffer metadata =
                ByteBuffer.wrap(bytes, start + PREFIX, metadataLength).slice().order(ByteOrder.LITTLE_ENDIAN);
        Message message = Message.getRootAsMessage(metadata);
        if (message.headerType() != MessageHeader.RecordBatch) {
            throw new IOException("the block's Arrow message is no record batch");
        }
        body = start + PREFIX + metadataLength;
        bodyLength = length - PREFIX - metadataLength;
        if (message.bodyLength() > bodyLength) {
            throw new IOException("the block is cut: its header claims " + message.bodyLength() + " bytes of body, it has " + bodyLength);
        }
        batch = (RecordBatch) message.header(new RecordBatch());
        if (batch == null || batch.compression() != null) {
            throw new IOException("the block is compressed or empty; blocks travel uncompressed");
        }
        if (batch.length() != rows || rows < 1) {
            throw new IOException("the block says " + rows + " rows, its Arrow header " + batch.length());
        }
        nextNode = 0;
        nextBuffer = 0;
    }

    /** Moves to the next node and returns its number of rows; must be {@code expected} unless that is negative. */
    int nextNode(int expected) throws IOException {
        if (nextNode >= batch.nodesLength()) {
            throw new IOException("the block has fewer columns than its schema");
        }
        batch.nodes(node, nextNode++);
        long rows = node.length();
        if (rows < 0 || rows > Integer.MAX_VALUE - 8 || (expected >= 0 && rows != expected)) {
            throw new IOException("a column of the block has " + rows + " values instead of " + expected);
        }
        return (int) rows;
    }

    /** Nulls of the node read last. */
    long nulls() {
        return node.nullCount();
    }

    /** Moves to the next buffer, which must have {@code atLeast} bytes. */
    void nextBuffer(long atLeast) throws IOException {
        if (nextBuffer >= batch.buffersLength()) {
            throw new IOException("the block has fewer buffers than its schema needs");
        }
        batch.buffers(buffer, nextBuffer++);
        long offset = buffer.offset();
        long length = buffer.length();
        if (offset < 0 || length < 0 || offset > bodyLength || length > bodyLength - offset) {
            throw new IOException("a buffer of the block reaches beyond its end");
        }
        if (length < atLeast) {
            throw new IOException("a buffer of the block has " + length + " bytes, its column needs " + atLeast);
        }
        bufferStart = body + (int) offset;
        bufferLength = (int) length;
    }

    void close() throws IOException {
        if (nextNode != batch.nodesLength() || nextBuffer != batch.buffersLength()) {
            throw new IOException("the block has more columns than its schema");
        }
        batch = null;
    }

    /** Finds the array behind a ByteString, so that nothing is copied. */
    private static final class Unwrapped extends ByteOutput {
        byte[] bytes;
        int offset;
        int length;

        void unwrap(ByteString data) throws IOException {
            bytes = null;
            length = data.size();
            UnsafeByteOperations.unsafeWriteTo(data, this);
            if (bytes == null) {
                bytes = new byte[0];
                offset = 0;
            }
        }

        private void take(byte[] value, int from, int count) {
            if (bytes == null && count == length) {
                bytes = value;
                offset = from;
                return;
            }
            // In pieces: put them together.
            if (bytes == null) {
                bytes = new byte[length];
                offset = 0;
                filled = 0;
            }
            System.arraycopy(value, from, bytes, filled, count);
            filled += count;
        }

        private int filled;

        @Override
        public void write(byte value) {
            take(new byte[] {value}, 0, 1);
        }

        @Override
        public void write(byte[] value, int from, int count) {
            take(value.clone(), from, count);
        }

        @Override
        public void writeLazy(byte[] value, int from, int count) {
            take(value, from, count);
        }

        @Override
        public void write(ByteBuffer value) {
            byte[] copy = new byte[value.remaining()];
            value.get(copy);
            take(copy, 0, copy.length);
        }

        @Override
        public void writeLazy(ByteBuffer value) {
            write(value);
        }
    }
}
