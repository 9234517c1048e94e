package io.sluice.flink.source.enumerator;

import io.sluice.flink.source.split.SluiceSplitSerializer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.annotation.Internal;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;

/**
 * Enumerator states as bytes. Version 1: resolved bool, count i32, then for each segment its split ({@link SluiceSplitSerializer}
 * version 1) and assigned bool. Bytes of every released version are kept as test resources and stay readable.
 */
@Internal
public final class SluiceEnumeratorStateSerializer implements SimpleVersionedSerializer<SluiceEnumeratorState> {
    public static final SluiceEnumeratorStateSerializer INSTANCE = new SluiceEnumeratorStateSerializer();

    private static final int VERSION = 1;

    @Override
    public int getVersion() {
        return VERSION;
    }

    @Override
    public byte[] serialize(SluiceEnumeratorState state) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(256);
        out.writeBoolean(state.resolved());
        out.writeInt(state.segments().size());
        for (SegmentProgress segment : state.segments()) {
            SluiceSplitSerializer.write(segment.split(), out);
            out.writeBoolean(segment.assigned());
        }
        return out.getCopyOfBuffer();
    }

    @Override
    public SluiceEnumeratorState deserialize(int version, byte[] bytes) throws IOException {
        if (version != VERSION) {
            throw new IOException("the source's state has version " + version + ", this connector knows version " + VERSION
                    + ": restore with the connector that wrote the state or a newer one");
        }
        DataInputDeserializer in = new DataInputDeserializer(bytes);
        boolean resolved = in.readBoolean();
        int count = in.readInt();
        if (count < 0) {
            throw new IOException("the source's state claims " + count + " segments");
        }
        List<SegmentProgress> segments = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            segments.add(new SegmentProgress(SluiceSplitSerializer.read(in), in.readBoolean()));
        }
        if (in.available() > 0) {
            throw new IOException("the source's state is followed by " + in.available() + " unexpected bytes");
        }
        return new SluiceEnumeratorState(resolved, segments);
    }
}
