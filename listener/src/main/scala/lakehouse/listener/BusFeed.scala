package lakehouse.listener

import org.apache.spark.SparkConf
import org.apache.spark.scheduler._
import org.apache.spark.sql.streaming.StreamingQueryListener.Event

/** Brings the streaming events of Spark's bus, of all sessions and of Spark Connect, to the session.
  *
  * One is behind [[LakehouseListener]] on the shared queue, from the application's start; a second is on the
  * listener's own queue, once there is one.
  */
private[listener] final class BusFeed(conf: SparkConf, alone: Session) extends SparkListener {
  @volatile private var session = alone
  private var known = false

  /** For the shared queue: the session opens with the application. */
  def this(conf: SparkConf) = this(conf, null)

  override def onApplicationStart(event: SparkListenerApplicationStart): Unit =
    if (alone == null) session = Session.of(event.appId.getOrElse(conf.get("spark.app.id", "unknown")), conf)

  override def onOtherEvent(event: SparkListenerEvent): Unit = guarded {
    event match {
      case _ if session == null =>
      case streaming: Event => session.take(streaming)
      case other => session.follow(other)
    }
  }

  // On two queues, the application's end can come on the shared one before a query's end on the other.
  override def onApplicationEnd(event: SparkListenerApplicationEnd): Unit = guarded {
    if (session != null && (alone != null || !session.hasOwnQueue)) session.end()
  }

  /** An Error that leaves a callback would stop the SparkContext. */
  private def guarded(work: => Unit): Unit =
    try {
      if (alone != null && !known && alone.hasOwnQueue) {
        alone.ownThread()
        known = true
      }
      work
    } catch { case failure: Throwable => Log.warn("lakehouse-listener lost an event", failure) }
}
