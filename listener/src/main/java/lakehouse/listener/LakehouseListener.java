package lakehouse.listener;

import org.apache.spark.SparkConf;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerApplicationEnd;
import org.apache.spark.scheduler.SparkListenerApplicationStart;
import org.apache.spark.scheduler.SparkListenerEvent;
import org.apache.spark.scheduler.SparkListenerInterface;

/**
 * The listener that a user names in {@code spark.extraListeners}; needed on the driver only.
 *
 * <p>It hands Spark's events on to what {@link Door} loaded, and does nothing where that could not be loaded.
 * An Error that leaves a callback would stop the whole SparkContext: nothing may leave these.
 */
public final class LakehouseListener extends SparkListener {
  private final SparkListenerInterface inside;

  /** Called by Spark while the SparkContext is being made. */
  public LakehouseListener(SparkConf conf) {
    inside = Door.open(conf);
  }

  /** Opens the session of this application. */
  @Override
  public void onApplicationStart(SparkListenerApplicationStart event) {
    if (inside != null) {
      try {
        inside.onApplicationStart(event);
      } catch (Throwable failure) {
        Log.warn("lakehouse-listener could not start, the application runs without it", failure);
      }
    }
  }

  /** Takes streaming events, of every session of the application. */
  @Override
  public void onOtherEvent(SparkListenerEvent event) {
    if (inside != null) {
      try {
        inside.onOtherEvent(event);
      } catch (Throwable failure) {
        Log.warn("lakehouse-listener lost an event", failure);
      }
    }
  }

  /** Writes the last words. */
  @Override
  public void onApplicationEnd(SparkListenerApplicationEnd event) {
    if (inside != null) {
      try {
        inside.onApplicationEnd(event);
      } catch (Throwable failure) {
        Log.warn("lakehouse-listener could not write its last words", failure);
      }
    }
  }
}
