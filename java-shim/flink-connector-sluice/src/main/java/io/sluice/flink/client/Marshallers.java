package io.sluice.flink.client;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.ExtensionRegistryLite;
import com.google.protobuf.Message;
import com.google.protobuf.Parser;
import com.google.protobuf.UnsafeByteOperations;
import io.grpc.Drainable;
import io.grpc.KnownLength;
import io.grpc.MethodDescriptor;
import io.grpc.Status;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/** Marshallers for calls that carry blocks: the block's array goes to the transport as it is, and comes from it as it is. */
final class Marshallers {

    private Marshallers() {}

    static <A extends Message> MethodDescriptor<EncodedRequest, A> sendingBlocks(String method, Parser<A> answers) {
        return MethodDescriptor.<EncodedRequest, A>newBuilder()
                .setType(MethodDescriptor.MethodType.BIDI_STREAMING)
                .setFullMethodName(Rpc.PACKAGE + method)
                .setRequestMarshaller(new Sending())
                .setResponseMarshaller(receiving(answers))
                .build();
    }

    /** Reads the message into one array, which its byte fields then share. */
    static <A extends Message> MethodDescriptor.Marshaller<A> receiving(Parser<A> parser) {
        return new MethodDescriptor.Marshaller<A>() {
            @Override
            public InputStream stream(A value) {
                throw new UnsupportedOperationException("answers are only received");
            }

            @Override
            public A parse(InputStream stream) {
                try {
                    byte[] bytes = stream instanceof KnownLength ? readAtOnce(stream) : stream.readAllBytes();
                    CodedInputStream in = UnsafeByteOperations.unsafeWrap(bytes).newCodedInput();
                    in.enableAliasing(true);
                    A message = parser.parseFrom(in, ExtensionRegistryLite.getEmptyRegistry());
                    in.checkLastTagWas(0);
                    return message;
                } catch (IOException e) {
                    throw Status.INTERNAL.withDescription("the answer is malformed").withCause(e).asRuntimeException();
                }
            }
        };
    }

    /** Without the pieces of 8 KiB that {@link InputStream#readNBytes(int)} joins. */
    private static byte[] readAtOnce(InputStream stream) throws IOException {
        byte[] bytes = new byte[stream.available()];
        if (stream.readNBytes(bytes, 0, bytes.length) < bytes.length) {
            throw new EOFException("the message is shorter than its frame says");
        }
        return bytes;
    }

    private static final class Sending implements MethodDescriptor.Marshaller<EncodedRequest> {
        @Override
        public InputStream stream(EncodedRequest value) {
            return new RequestStream(value);
        }

        @Override
        public EncodedRequest parse(InputStream stream) {
            throw new UnsupportedOperationException("requests are only sent");
        }
    }

    /** gRPC asks for the length and drains; reading byte by byte is here only because the interface has it. */
    private static final class RequestStream extends InputStream implements Drainable, KnownLength {
        private EncodedRequest request;
        private InputStream rest;

        RequestStream(EncodedRequest request) {
            this.request = request;
        }

        @Override
        public int drainTo(OutputStream target) throws IOException {
            if (request == null) {
                return 0;
            }
            int length = request.length();
            request.writeTo(target);
            request = null;
            return length;
        }

        @Override
        public int available() throws IOException {
            return request != null ? request.length() : rest == null ? 0 : rest.available();
        }

        @Override
        public int read() throws IOException {
            return bytes().read();
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            return bytes().read(into, offset, length);
        }

        private InputStream bytes() throws IOException {
            if (rest == null) {
                ByteArrayOutputStream all = new ByteArrayOutputStream();
                drainTo(all);
                rest = new ByteArrayInputStream(all.toByteArray());
            }
            return rest;
        }
    }

    static byte[] encode(int size, Fields fields) {
        byte[] bytes = new byte[size];
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        try {
            fields.writeTo(out);
            return java.util.Arrays.copyOf(bytes, out.getTotalBytesWritten());
        } catch (IOException e) {
            throw new IllegalStateException("the array is large enough", e);
        }
    }

    interface Fields {
        void writeTo(CodedOutputStream out) throws IOException;
    }
}
