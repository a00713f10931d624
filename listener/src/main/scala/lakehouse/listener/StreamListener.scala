package lakehouse.listener

import org.apache.spark.sql.streaming.StreamingQueryListener
import org.apache.spark.sql.streaming.StreamingQueryListener._

/** The listener to attach by hand, where Spark's configuration can't be changed:
  * `spark.streams.addListener(new lakehouse.listener.StreamListener)`.
  *
  * It opens the same session as [[LakehouseListener]]; attached both ways, no event counts twice.
  */
final class StreamListener extends StreamingQueryListener {
  guarded(Session.ofActiveContext(): Unit)

  /** Takes the start of a query; called on the thread that starts it. */
  override def onQueryStarted(event: QueryStartedEvent): Unit = take(event)

  /** Takes the progress of a batch. */
  override def onQueryProgress(event: QueryProgressEvent): Unit = take(event)

  /** Takes the sign of life of a query that has nothing to do. */
  override def onQueryIdle(event: QueryIdleEvent): Unit = take(event)

  /** Takes the end of a query. */
  override def onQueryTerminated(event: QueryTerminatedEvent): Unit = take(event)

  /** Answers as the bridge does (docs/bridge.md), for a reader in the Python process that this driver belongs to, which
    * reaches the JVM already; null where there never was an application.
    */
  def poll(epoch: String, afterSeq: Long, maxBytes: Int): String = {
    val session = Session.ofActiveContext()
    if (session == null) null else session.poll(epoch, afterSeq, maxBytes)
  }

  private def take(event: Event): Unit = guarded {
    val session = Session.ofActiveContext()
    if (session != null) session.take(event)
  }

  /** An Error that leaves a callback would fail the query, or stop the SparkContext. */
  private def guarded(work: => Unit): Unit =
    try work
    catch { case failure: Throwable => Log.warn("lakehouse-listener lost an event", failure) }
}
