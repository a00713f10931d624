package lakehouse.listener

import java.lang.ref.WeakReference
import java.util.{ArrayList, List => JList, Map => JMap, UUID}

import com.codahale.metrics.{Counter, Gauge, MetricRegistry}
import org.apache.spark.SparkContext
import org.apache.spark.scheduler.{SparkListener, SparkListenerEvent}
import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.streaming.{StreamingQuery, StreamingQueryStatus}

/** The only file that reaches into Spark's private parts: by reflection, because forks of Spark change them.
  *
  * A reach that fails gives nothing and never throws; a capability tells whether the newest reach of its kind worked.
  */
private[listener] final class SparkInside {
  @volatile private var context: SparkContext = null
  @volatile private var sharedState: AnyRef = null
  @volatile private var sessionSeen = new WeakReference[AnyRef](null)

  /** Whether the listener has a queue of its own on Spark's bus. */
  @volatile var ownQueue: Boolean = false

  /** Whether the queries of all sessions can be seen; not before a session is known. */
  @volatile var allSessions: Boolean = false

  /** Whether sizes and drops of the bus's queues can be read. */
  @volatile var busMetrics: Boolean = SparkInside.has("org.apache.spark.SparkContext", "listenerBus")

  /** Whether queries tell their status. */
  @volatile var status: Boolean = SparkInside.has("org.apache.spark.sql.internal.SharedState", "activeStreamingQueries")

  /** The context to look into; before that, nothing is found. */
  def use(active: SparkContext): Unit = context = active

  /** Remembers the session that an SQL execution ran in, as long as none is known: Spark tells a default session only where
    * the application left it one. On Spark's bus thread: it reads fields, and leaves all that could block to others.
    */
  def follow(event: SparkListenerEvent): Unit =
    if (sharedState == null && event.getClass.getName == SparkInside.ExecutionEnd && sessionSeen.get == null) {
      reach(()) {
        sessionSeen = new WeakReference(call(call(event, "qe"), "sparkSession"))
      } (_ => ())
    }

  /** Puts a listener on a queue of its own, so that slow listeners of others cost us no event. */
  def addToOwnQueue(listener: SparkListener): Boolean = {
    reach(()) {
      val bus = call(context, "listenerBus")
      val add = bus.getClass.getMethods.find { method =>
        val takes = method.getParameterTypes
        method.getName == "addToQueue" && takes.length == 2 && takes(0).isInstance(listener) && takes(1) == classOf[String]
      }
      add.get.invoke(bus, listener, "lakehouse"): Unit
    } { worked => ownQueue = worked }
    ownQueue
  }

  /** Active queries of every session; null where they can't be seen, which is not the same as none. */
  def activeQueries(): JList[StreamingQuery] =
    reach[JList[StreamingQuery]](null) {
      val queries = new ArrayList[StreamingQuery]()
      activeIn(foundState()).values.forEach {
        case query: StreamingQuery => queries.add(query): Unit
        case _ =>
      }
      queries
    } { worked => allSessions = worked }

  /** Status of an active query; null where it does not tell. */
  def statusOf(query: StreamingQuery): StreamingQueryStatus =
    reach[StreamingQueryStatus](null)(query.status) { worked => status = worked }

  /** The active run `runId` of the query `id`; null where it is not found. */
  def activeQuery(id: UUID, runId: UUID): StreamingQuery = queryIn(foundState(), id, runId)

  /** As [[activeQuery]], for Spark's bus thread: it looks into what is known already, and never blocks. */
  def knownQuery(id: UUID, runId: UUID): StreamingQuery =
    if (sharedState == null) null else queryIn(sharedState, id, runId)

  /** Text of a query's trigger, for example `ProcessingTimeTrigger(2000)`; null where it is not known. */
  def trigger(query: StreamingQuery): String =
    if (query == null) null else reach[String](null)(String.valueOf(call(query, "trigger"))) (_ => ())

  /** Name, size and drops of each queue of the listener bus; null where they can't be read. */
  def busQueues(): JList[SparkInside.Queue] =
    if (context == null) null
    else reach[JList[SparkInside.Queue]](null) {
      val registry = call(call(call(context, "listenerBus"), "metrics"), "metricRegistry").asInstanceOf[MetricRegistry]
      val queues = new ArrayList[SparkInside.Queue]()
      registry.getGauges.forEach { (key: String, gauge: Gauge[_]) =>
        if (key.startsWith("queue.") && key.endsWith(".size")) {
          val name = key.substring("queue.".length, key.length - ".size".length)
          queues.add(SparkInside.Queue(name, number(gauge.getValue), drops(registry, name))): Unit
        }
      }
      queues
    } { worked => busMetrics = worked }

  private def drops(registry: MetricRegistry, queue: String): java.lang.Long =
    registry.getCounters.get(s"queue.$queue.numDroppedEvents") match {
      case counter: Counter => counter.getCount
      case _ => null
    }

  private def number(value: Any): java.lang.Long = value match {
    case number: Number => number.longValue
    case _ => null
  }

  /** What the sessions of the context share, asked of any of them; throws where none is known. May wait for Spark. */
  private def foundState(): AnyRef = {
    if (sharedState == null) {
      val sessions = SparkSession.getDefaultSession.toSeq ++ SparkSession.getActiveSession ++ Option(sessionSeen.get)
      sharedState = call(sessions.find(session => call(session, "sparkContext") eq context).get, "sharedState")
    }
    sharedState
  }

  private def queryIn(state: => AnyRef, id: UUID, runId: UUID): StreamingQuery =
    reach[StreamingQuery](null) {
      activeIn(state).get(id) match {
        case query: StreamingQuery if query.runId == runId => query
        case _ => null
      }
    } (_ => ())

  /** The map of Spark's own, made to be read while it changes. */
  private def activeIn(state: AnyRef): JMap[_, _] = call(state, "activeStreamingQueries").asInstanceOf[JMap[_, _]]

  private def call(target: AnyRef, method: String): AnyRef = SparkInside.call(target, method)

  private def reach[T](nothing: T)(work: => T)(worked: Boolean => Unit): T =
    try {
      val reached = work
      worked(true)
      reached
    } catch {
      case _: Throwable =>
        worked(false)
        nothing
    }
}

private[listener] object SparkInside {
  private val ExecutionEnd = "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionEnd"

  /** One queue of the listener bus: events that wait in it, and events it dropped since the start. */
  final case class Queue(name: String, size: java.lang.Long, dropped: java.lang.Long)

  /** The context that is active in this JVM; null where none is yet. */
  def activeContext(): SparkContext =
    try {
      val companion = Class.forName("org.apache.spark.SparkContext$", true, classOf[SparkContext].getClassLoader)
      call(companion.getField("MODULE$").get(null), "getActive") match {
        case Some(context: SparkContext) => context
        case _ => null
      }
    } catch {
      case _: Throwable => sessionsContext()
    }

  private def sessionsContext(): SparkContext =
    try SparkSession.getDefaultSession.map(_.sparkContext).orNull
    catch { case _: Throwable => null }

  private def has(className: String, method: String): Boolean =
    try {
      Class.forName(className, false, classOf[SparkContext].getClassLoader).getMethods.exists(_.getName == method)
    } catch { case _: Throwable => false }

  private def call(target: AnyRef, method: String): AnyRef = target.getClass.getMethod(method).invoke(target)
}
