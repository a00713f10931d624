package lakehouse.listener;

import java.util.Collections;
import java.util.Map;
import org.apache.spark.SparkContext;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.apache.spark.api.plugin.SparkPlugin;

/**
 * The plugin that a user names in {@code spark.plugins}, where the jar reaches the executors too.
 *
 * <p>It adds a {@link LakehouseListener} to the context, and has no part in the executors. Executors without the jar
 * can't start under {@code spark.plugins}: there {@code spark.extraListeners} is the way.
 */
public final class LakehousePlugin implements SparkPlugin {
  /** Adds the listener before the application's first event is posted. */
  @Override
  public DriverPlugin driverPlugin() {
    return new DriverPlugin() {
      @Override
      public Map<String, String> init(SparkContext context, PluginContext plugin) {
        try {
          context.addSparkListener(new LakehouseListener(plugin.conf()));
        } catch (Throwable failure) {
          Log.warn("lakehouse-listener could not be added, the application runs without it", failure);
        }
        return Collections.emptyMap();
      }
    };
  }

  /** None: nothing of ours runs on executors. */
  @Override
  public ExecutorPlugin executorPlugin() {
    return null;
  }
}
