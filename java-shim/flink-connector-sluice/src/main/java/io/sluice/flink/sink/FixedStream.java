package io.sluice.flink.sink;

/** Every element to one stream. */
final class FixedStream<T> implements StreamRouter<T> {

    private static final long serialVersionUID = 1L;

    private final String stream;

    FixedStream(String stream) {
        this.stream = stream;
    }

    @Override
    public String streamOf(T element) {
        return stream;
    }
}
