package io.sluice.flink.client;

import io.grpc.netty.shaded.io.grpc.netty.GrpcHttp2ConnectionHandler;
import io.grpc.netty.shaded.io.grpc.netty.InternalNettyChannelBuilder;
import io.grpc.netty.shaded.io.grpc.netty.InternalProtocolNegotiator;
import io.grpc.netty.shaded.io.grpc.netty.InternalProtocolNegotiators;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.ChannelHandler;
import io.grpc.netty.shaded.io.netty.channel.ChannelHandlerContext;
import io.grpc.netty.shaded.io.netty.channel.ChannelInboundHandlerAdapter;
import io.grpc.netty.shaded.io.netty.handler.codec.http2.Http2ConnectionPrefaceAndSettingsFrameWrittenEvent;
import io.grpc.netty.shaded.io.netty.handler.codec.http2.Http2Settings;
import io.grpc.netty.shaded.io.netty.util.AsciiString;

/**
 * Lets the gateway send HTTP/2 frames of up to a MiB. gRPC has no setting for it and asks for 16 KiB, which costs both sides a system call and
 * much bookkeeping for each 16 KiB of a block.
 */
final class LargeFrames implements InternalProtocolNegotiator.ProtocolNegotiator {
    private static final int FRAME_BYTES = 1 << 20;

    private final InternalProtocolNegotiator.ProtocolNegotiator plaintext = InternalProtocolNegotiators.plaintext();

    private LargeFrames() {}

    /** For a channel without encryption. */
    static void allow(NettyChannelBuilder channel) {
        InternalNettyChannelBuilder.setProtocolNegotiatorFactory(
                channel, (InternalNettyChannelBuilder.ProtocolNegotiatorFactory) LargeFrames::new);
    }

    @Override
    public AsciiString scheme() {
        return plaintext.scheme();
    }

    @Override
    public ChannelHandler newHandler(GrpcHttp2ConnectionHandler connection) {
        ChannelHandler handler = plaintext.newHandler(connection);
        return new ChannelInboundHandlerAdapter() {
            @Override
            public void handlerAdded(ChannelHandlerContext context) {
                context.pipeline().addLast(new AskAfterPreface(connection));
                context.pipeline().replace(this, null, handler);
            }
        };
    }

    @Override
    public void close() {
        plaintext.close();
    }

    /** A second SETTINGS frame, as the first one is gRPC's. */
    private static final class AskAfterPreface extends ChannelInboundHandlerAdapter {
        private final GrpcHttp2ConnectionHandler connection;

        AskAfterPreface(GrpcHttp2ConnectionHandler connection) {
            this.connection = connection;
        }

        @Override
        public void userEventTriggered(ChannelHandlerContext context, Object event) throws Exception {
            if (event instanceof Http2ConnectionPrefaceAndSettingsFrameWrittenEvent) {
                ChannelHandlerContext sender = context.pipeline().context(connection);
                connection.encoder().writeSettings(sender, new Http2Settings().maxFrameSize(FRAME_BYTES), sender.newPromise());
                sender.flush();
                context.pipeline().remove(this);
            }
            super.userEventTriggered(context, event);
        }
    }
}
