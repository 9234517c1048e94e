import io.sluice.flink.sink.SluiceSink;
import io.sluice.flink.source.SluiceSource;
import io.sluice.flink.source.StartingPositions;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.CloseableIterator;

/** What stands around the DataStream snippet: an environment and events before it, and after it the reading back. */
public class DataStreamSnippet {

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.enableCheckpointing(500);
        DataStream<String> events = env.fromData("home", "search", "basket");

        @SNIPPET@

        env.execute("clicks");
        // the snippet names its source `source`; its stream has no operator behind it, so it is read here once more
        try (CloseableIterator<String> clicks =
                env.fromSource(source, WatermarkStrategy.noWatermarks(), "clicks, read back").executeAndCollect()) {
            for (int i = 0; i < 3; i++) {
                System.out.println("read back: " + clicks.next());
            }
        }
    }
}
