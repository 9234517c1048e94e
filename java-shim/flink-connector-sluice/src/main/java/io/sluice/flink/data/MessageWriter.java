package io.sluice.flink.data;

import com.google.flatbuffers.FlatBufferBuilder;
import org.apache.arrow.flatbuf.Buffer;
import org.apache.arrow.flatbuf.FieldNode;
import org.apache.arrow.flatbuf.Message;
import org.apache.arrow.flatbuf.MessageHeader;
import org.apache.arrow.flatbuf.MetadataVersion;
import org.apache.arrow.flatbuf.RecordBatch;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * Puts columns together as one encapsulated Arrow IPC RecordBatch message: continuation marker, metadata length,
 * flatbuffer metadata padded to 8 bytes, body whose buffers start at multiples of 8.
 */
final class MessageWriter {

    private static final int PREFIX = 8;

    private final FlatBufferBuilder metadata = new FlatBufferBuilder(1024);
    private final CRC32C checksum = new CRC32C();
    private long[] nodes = new long[32];
    private int nodeCount;
    private byte[][] buffers = new byte[32][];
    private int[] lengths = new int[32];
    private int bufferCount;

    void addNode(int rows, int nulls) {
        if (2 * nodeCount == nodes.length) {
            nodes = Arrays.copyOf(nodes, 2 * nodes.length);
        }
        nodes[2 * nodeCount] = rows;
        nodes[2 * nodeCount + 1] = nulls;
        nodeCount++;
    }

    void addBuffer(byte[] bytes, int length) {
        if (bufferCount == buffers.length) {
            buffers = Arrays.copyOf(buffers, 2 * bufferCount);
            lengths = Arrays.copyOf(lengths, 2 * bufferCount);
        }
        buffers[bufferCount] = bytes;
        lengths[bufferCount] = length;
        bufferCount++;
    }

    BlockData finish(long schemaId, int rows, int[] columns) {
        long[] offsets = new long[bufferCount];
        long body = 0;
        for (int i = 0; i < bufferCount; i++) {
            offsets[i] = body;
            body += padded(lengths[i]);
        }
        ByteBuffer header = metadata(rows, offsets, body);
        int headerLength = header.remaining();
        int metadataLength = (int) padded(headerLength);
        int length = Math.toIntExact(PREFIX + metadataLength + body);

        byte[] data = new byte[length];
        LittleEndian.putInt(data, 0, 0xFFFFFFFF);
        LittleEndian.putInt(data, 4, metadataLength);
        header.get(data, PREFIX, headerLength);
        for (int i = 0; i < bufferCount; i++) {
            System.arraycopy(buffers[i], 0, data, PREFIX + metadataLength + (int) offsets[i], lengths[i]);
        }
        checksum.reset();
        checksum.update(data, 0, length);
        clear();
        return new BlockData(schemaId, rows, (int) checksum.getValue(), columns, data, length);
    }

    private ByteBuffer metadata(int rows, long[] offsets, long body) {
        metadata.clear();
        RecordBatch.startBuffersVector(metadata, bufferCount);
        for (int i = bufferCount - 1; i >= 0; i--) {
            Buffer.createBuffer(metadata, offsets[i], lengths[i]);
        }
        int bufferVector = metadata.endVector();
        RecordBatch.startNodesVector(metadata, nodeCount);
        for (int i = nodeCount - 1; i >= 0; i--) {
            FieldNode.createFieldNode(metadata, nodes[2 * i], nodes[2 * i + 1]);
        }
        int nodeVector = metadata.endVector();
        RecordBatch.startRecordBatch(metadata);
        RecordBatch.addLength(metadata, rows);
        RecordBatch.addNodes(metadata, nodeVector);
        RecordBatch.addBuffers(metadata, bufferVector);
        int batch = RecordBatch.endRecordBatch(metadata);
        Message.startMessage(metadata);
        Message.addVersion(metadata, MetadataVersion.V5);
        Message.addHeaderType(metadata, MessageHeader.RecordBatch);
        Message.addHeader(metadata, batch);
        Message.addBodyLength(metadata, body);
        metadata.finish(Message.endMessage(metadata));
        return metadata.dataBuffer();
    }

    private static long padded(long length) {
        return (length + 7) & ~7L;
    }

    private void clear() {
        Arrays.fill(buffers, 0, bufferCount, null);
        bufferCount = 0;
        nodeCount = 0;
    }
}
