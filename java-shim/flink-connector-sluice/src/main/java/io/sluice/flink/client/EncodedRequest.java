package io.sluice.flink.client;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import io.sluice.flink.data.BlockData;
import io.sluice.proto.gateway.v1.AppendChunkRequest;
import io.sluice.proto.gateway.v1.AppendEventsRequest;
import io.sluice.proto.gateway.v1.Block;
import io.sluice.proto.gateway.v1.SegmentBlock;

import java.io.IOException;
import java.io.OutputStream;

/**
 * A protobuf request whose last field is a block: everything before the block's bytes is encoded, the bytes themselves
 * stay in the block's array. May be written any number of times.
 */
final class EncodedRequest {

    private static final int MAX_SCALARS = 128;
    private static final int WIRE_TYPE_BYTES = 2;

    private final byte[] head;
    private final BlockData block;

    private EncodedRequest(byte[] head, BlockData block) {
        this.head = head;
        this.block = block;
    }

    static EncodedRequest chunk(ByteString txnId, long seq, long streamId, int segment, BlockData block) {
        byte[] blockHead = blockHead(block);
        byte[] head =
                Marshallers.encode(
                        MAX_SCALARS + blockHead.length,
                        out -> {
                            out.writeBytes(AppendChunkRequest.TXN_ID_FIELD_NUMBER, txnId);
                            out.writeUInt64(AppendChunkRequest.SEQ_FIELD_NUMBER, seq);
                            out.writeUInt64(AppendChunkRequest.STREAM_ID_FIELD_NUMBER, streamId);
                            out.writeUInt32(AppendChunkRequest.SEGMENT_FIELD_NUMBER, segment);
                            out.writeTag(AppendChunkRequest.BLOCK_FIELD_NUMBER, WIRE_TYPE_BYTES);
                            out.writeUInt32NoTag(blockHead.length + block.length);
                            out.writeRawBytes(blockHead);
                        });
        return new EncodedRequest(head, block);
    }

    static EncodedRequest events(long streamId, long writerId, long epoch, long firstSeq, int segment, BlockData block) {
        byte[] blockHead = blockHead(block);
        int blockLength = blockHead.length + block.length;
        int segmentBlockLength =
                CodedOutputStream.computeUInt32Size(SegmentBlock.SEGMENT_FIELD_NUMBER, segment)
                        + CodedOutputStream.computeTagSize(SegmentBlock.BLOCK_FIELD_NUMBER)
                        + CodedOutputStream.computeUInt32SizeNoTag(blockLength)
                        + blockLength;
        byte[] head =
                Marshallers.encode(
                        MAX_SCALARS + blockHead.length,
                        out -> {
                            out.writeUInt64(AppendEventsRequest.STREAM_ID_FIELD_NUMBER, streamId);
                            out.writeUInt64(AppendEventsRequest.WRITER_ID_FIELD_NUMBER, writerId);
                            out.writeUInt64(AppendEventsRequest.EPOCH_FIELD_NUMBER, epoch);
                            out.writeUInt64(AppendEventsRequest.FIRST_SEQ_FIELD_NUMBER, firstSeq);
                            out.writeTag(AppendEventsRequest.BLOCK_FIELD_NUMBER, WIRE_TYPE_BYTES);
                            out.writeUInt32NoTag(segmentBlockLength);
                            out.writeUInt32(SegmentBlock.SEGMENT_FIELD_NUMBER, segment);
                            out.writeTag(SegmentBlock.BLOCK_FIELD_NUMBER, WIRE_TYPE_BYTES);
                            out.writeUInt32NoTag(blockLength);
                            out.writeRawBytes(blockHead);
                        });
        return new EncodedRequest(head, block);
    }

    int length() {
        return head.length + block.length;
    }

    void writeTo(OutputStream out) throws IOException {
        out.write(head, 0, head.length);
        out.write(block.data, 0, block.length);
    }

    /** A Block message up to and with the length of its data. */
    private static byte[] blockHead(BlockData block) {
        return Marshallers.encode(
                MAX_SCALARS + 5 * block.columns.length,
                out -> {
                    out.writeUInt64(Block.SCHEMA_ID_FIELD_NUMBER, block.schemaId);
                    out.writeUInt32(Block.ROWS_FIELD_NUMBER, block.rows);
                    out.writeFixed32(Block.CRC32C_FIELD_NUMBER, block.crc32c);
                    if (block.columns.length > 0) {
                        int size = 0;
                        for (int column : block.columns) {
                            size += CodedOutputStream.computeUInt32SizeNoTag(column);
                        }
                        out.writeTag(Block.COLUMNS_FIELD_NUMBER, WIRE_TYPE_BYTES);
                        out.writeUInt32NoTag(size);
                        for (int column : block.columns) {
                            out.writeUInt32NoTag(column);
                        }
                    }
                    out.writeTag(Block.DATA_FIELD_NUMBER, WIRE_TYPE_BYTES);
                    out.writeUInt32NoTag(block.length);
                });
    }
}
