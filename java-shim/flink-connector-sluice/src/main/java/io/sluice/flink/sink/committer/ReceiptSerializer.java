package io.sluice.flink.sink.committer;

import org.apache.flink.annotation.Internal;
import org.apache.flink.core.io.SimpleVersionedSerializer;

import java.io.IOException;

/** {@link Receipt} as bytes, between writer and aggregator. */
@Internal
public final class ReceiptSerializer implements SimpleVersionedSerializer<Receipt> {

    @Override
    public int getVersion() {
        return 1;
    }

    @Override
    public byte[] serialize(Receipt receipt) throws IOException {
        return CheckedBytes.write(
                out -> {
                    CheckedBytes.writeId(out, receipt.txnId);
                    out.writeInt(receipt.subtask);
                    out.writeLong(receipt.writerEpoch);
                    out.writeLong(receipt.events);
                    out.writeLong(receipt.bytes);
                });
    }

    @Override
    public Receipt deserialize(int version, byte[] bytes) throws IOException {
        return CheckedBytes.read(
                "a receipt",
                version,
                bytes,
                in -> new Receipt(CheckedBytes.readId(in), in.readInt(), in.readLong(), in.readLong(), in.readLong()));
    }
}
