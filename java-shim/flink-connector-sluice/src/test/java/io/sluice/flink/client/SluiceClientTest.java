package io.sluice.flink.client;

import io.sluice.proto.gateway.v1.ErrorClass;
import io.sluice.proto.gateway.v1.ErrorReason;
import io.sluice.proto.gateway.v1.GetSinkRequest;
import io.sluice.proto.gateway.v1.GetTransactionRequest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.UUID;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

/** Endpoints, names, sharing, and the errors of control calls. */
class SluiceClientTest {

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "host", "host:", "host:0", "host:65536", "ftp://host:1", "http://host:1/path", "http://a b:1", "http://u@host:1"})
    void malformedEndpointsAreRefused(String endpoint) {
        assertThatThrownBy(() -> SluiceClient.checkEndpoint(endpoint))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("'" + endpoint + "'")
                .hasMessageContaining("host:port");
    }

    @ParameterizedTest
    @ValueSource(strings = {"localhost:9090", "http://localhost:9090", "http://127.0.0.1:9090/", "http://[::1]:9090"})
    void endpointsAreRead(String endpoint) {
        SluiceClient.checkEndpoint(endpoint);
    }

    @Test
    void tlsIsNotPretended() {
        assertThatThrownBy(() -> SluiceClient.checkEndpoint("https://host:1")).hasMessageContaining("no TLS");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "scope", "scope/", "/name", "Scope/name", "s/../x", "s/n/m", "s/_x", "s/ä"})
    void badStreamNamesAreRefused(String name) {
        assertThatThrownBy(() -> Names.stream(name)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void namesAreReadAndWritten() {
        assertThat(Names.format(Names.stream("s-1/a.b_c"))).isEqualTo("s-1/a.b_c");
        assertThat(Names.format(Names.sink("mine", "scope"))).isEqualTo("scope/mine");
        assertThat(Names.format(Names.sink("other/mine", "scope"))).isEqualTo("other/mine");
        assertThatThrownBy(() -> Names.stream("s/" + "x".repeat(129))).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void idsAreBigEndian() {
        UUID id = UUID.fromString("01234567-89ab-cdef-0011-223344556677");
        assertThat(Ids.bytes(id).byteAt(0)).isEqualTo((byte) 0x01);
        assertThat(Ids.bytes(id).byteAt(15)).isEqualTo((byte) 0x77);
        assertThat(Ids.uuid(Ids.bytes(id))).isEqualTo(id);
    }

    @Test
    void oneEndpointIsOneClientUntilTheLastClose() throws Exception {
        try (FakeTransactions gateway = new FakeTransactions()) {
            SluiceClient first = SluiceClient.acquire(gateway.endpoint());
            SluiceClient second = SluiceClient.acquire("http://" + gateway.endpoint());
            assertThat(second).isSameAs(first);
            first.close();
            assertThatThrownBy(() -> second.call(Rpc.GET_TRANSACTION, GetTransactionRequest.getDefaultInstance()))
                    .isInstanceOf(SluiceException.class)
                    .satisfies(e -> assertThat(((SluiceException) e).errorClass()).isEqualTo(ErrorClass.NOT_FOUND))
                    .satisfies(e -> assertThat(((SluiceException) e).reason()).isEqualTo(ErrorReason.UNKNOWN_TRANSACTION));
            second.close();
            SluiceClient third = SluiceClient.acquire(gateway.endpoint());
            assertThat(third).isNotSameAs(first);
            third.close();
        }
    }

    @Test
    void requestIdsOfOneClientDiffer() {
        SluiceClient client = SluiceClient.acquire("127.0.0.1:1");
        try {
            assertThat(client.nextRequestId()).isNotEqualTo(client.nextRequestId());
            assertThat(client.nextRequestId().getSessionId().size()).isEqualTo(16);
        } finally {
            client.close();
        }
    }

    @Test
    void anUnreachableGatewayIsRetriedAndThenNamed() throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        SluiceClient client = SluiceClient.acquire("127.0.0.1:" + port);
        try {
            long start = System.nanoTime();
            assertThatThrownBy(() -> client.call(Rpc.GET_SINK, GetSinkRequest.getDefaultInstance(), Duration.ofMillis(700)))
                    .isInstanceOf(SluiceException.class)
                    .hasMessageContaining("127.0.0.1:" + port)
                    .hasMessageContaining("gave up after 700 ms")
                    .satisfies(e -> assertThat(((SluiceException) e).retriable()).isTrue());
            assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThan(Duration.ofMillis(650));
        } finally {
            client.close();
        }
    }

    @Test
    void aServerThatIsNoGatewayIsCalledSo() throws Exception {
        try (FakeTransactions gateway = new FakeTransactions()) {
            SluiceClient client = SluiceClient.acquire(gateway.endpoint());
            assertThatThrownBy(() -> client.call(Rpc.GET_SINK, GetSinkRequest.getDefaultInstance()))
                    .hasMessageContaining("no Sluice gateway")
                    .satisfies(e -> assertThat(((SluiceException) e).retriable()).isFalse());
            client.close();
        }
    }
}
