package lakehouse.listener

import java.lang.management.ManagementFactory
import java.util.UUID
import java.util.concurrent.ConcurrentHashMap

import org.apache.spark.{SparkConf, SparkContext}
import org.apache.spark.scheduler.SparkListenerEvent
import org.apache.spark.sql.streaming.StreamingQueryListener.{Event, QueryStartedEvent}

/** One application's listener, whole: what takes its events, what holds them, and who may read them.
  *
  * Taking an event is all that Spark's threads do here; everything else happens on threads of its own.
  */
private[listener] final class Session private (val appId: String, conf: SparkConf) {
  import Session._

  private val epoch = UUID.randomUUID.toString.replace("-", "")
  private val startedMs = System.currentTimeMillis
  private val settings = Settings.of(conf)
  private val spark = new SparkInside
  private val costs = new Costs
  private val ring = new EventRing(settings.ringEvents, settings.ringBytes)
  private val lines = new EventLine(spark)
  private val intake = new Intake(settings.queueSize, ring, lines(_, _, _), () => amend())
  private val facts = new DriverFacts(appId, conf, settings, spark, intake, ring, costs)
  private val answer = new Answer(appId, epoch, startedMs, ring, () => facts.json())
  private val folder = new DriversFolder(settings.dir, settings.groupReadable)

  private val seen = new Seen(MostSeen)
  private val started = ConcurrentHashMap.newKeySet[UUID]()
  @volatile private var seeded = false
  @volatile private var endedMs = 0L
  private var bridge: Bridge = null
  private var told = -1L
  private var unread = false

  /** Takes an event of Spark's, unless it came before by another way. */
  def take(event: Event): Unit = costs.callback {
    if (seen.first(event)) {
      event match {
        case start: QueryStartedEvent =>
          if (!seeded) started.add(start.runId)
          // A quick query is gone before the intake's nap is over, and its trigger with it.
          intake.offer(Started(start, spark.knownQuery(start.id, start.runId)))
          intake.wake()
        case _ => intake.offer(event)
      }
    }
  }

  /** Takes another event of Spark's bus: it may lead to the queries where Spark tells no session. */
  def follow(event: SparkListenerEvent): Unit = spark.follow(event)

  /** What a reader gets: see docs/bridge.md. */
  def poll(readersEpoch: String, afterSeq: Long, maxBytes: Int): String = answer.poll(readersEpoch, afterSeq, maxBytes)

  /** Whether the application ended. */
  def ended: Boolean = endedMs > 0

  /** Whether the listener's own queue brings the events: then that queue's end of the application counts alone. */
  def hasOwnQueue: Boolean = spark.ownQueue

  /** Counts the current thread as the listener's own. */
  def ownThread(): Unit = costs.own(Thread.currentThread.getId)

  /** Ends the session: its last words are written when this returns, or it gave up waiting for a slow disk. */
  def end(): Unit = {
    if (endedMs == 0) endedMs = System.currentTimeMillis
    val ending = background("ending") {
      intake.drain(DrainMs)
      tell()
    }
    ending.join(EndMs)
  }

  /** Makes room for the next application's session. */
  private def retire(): Unit = {
    if (!ended) end()
    intake.close()
  }

  private def open(former: Session): Unit = {
    intake.start()
    costs.own(intake.threadId)
    background("opening") {
      // First, for it may still have the port.
      if (former != null) former.retire()
      invite()
      if (bridge != null) background("sweeping")(folder.sweep(startedMs, host())): Unit
      attach()
    }: Unit
  }

  /** Opens the bridge and says where it is. */
  private def invite(): Unit = synchronized {
    if (!ended && hasFolder()) {
      try {
        bridge = new Bridge(settings.port, costs, answer.poll)
        folder.write(DriversFolder.connectionFile(appId), connection(bridge.start(), bridge.token))
      } catch {
        case problem: Throwable =>
          unread = true
          Log.warn("lakehouse-listener can't be read in this driver, the application runs on", problem)
          if (bridge != null) bridge.stop()
      }
    }
  }

  /** Whether there is a folder to write to; where not, nobody could find the bridge either. */
  private def hasFolder(): Boolean =
    try {
      folder.make()
      true
    } catch {
      case problem: Throwable =>
        Log.warn(s"lakehouse-listener can't make its folder ${settings.dir}, the application runs on", problem)
        false
    }

  /** Gets a queue of its own as soon as the context is there, then looks for queries that already run. */
  private def attach(): Unit = {
    var context = SparkInside.activeContext()
    var waits = 0
    while (!ended && (context == null || context.isStopped || context.applicationId != appId)) {
      // Spark makes the context active after it posted the application's start; a busy cluster may take minutes.
      Thread.sleep(if (waits < QuickWaits) 20L else 500L)
      waits += 1
      context = SparkInside.activeContext()
    }
    if (!ended) {
      spark.use(context)
      val feed = new BusFeed(conf, this)
      if (!spark.addToOwnQueue(feed)) context.addSparkListener(feed)
      seed()
    }
  }

  private def seed(): Unit = {
    val running = spark.activeQueries()
    if (running != null) running.forEach(query => if (!started.contains(query.runId)) intake.offer(Found(query)))
    seeded = true
    started.clear()
  }

  /** An event that comes after the last words makes new ones. */
  private def amend(): Unit = if (ended) tell()

  /** Writes the last words, where there is something new to say; then nobody needs the bridge. */
  private def tell(): Unit = synchronized {
    val last = ring.fill.lastSeq
    if (last != told && hasFolder()) {
      try folder.write(DriversFolder.finalFile(appId), answer.lastWords(endedMs))
      catch {
        // One warning is enough: where nobody could read along, nobody waits for last words.
        case problem: Throwable => if (!unread) Log.warn("lakehouse-listener could not write its last words", problem)
      }
      if (told < 0) leave()
      told = last
    }
  }

  private def leave(): Unit = {
    try folder.delete(DriversFolder.connectionFile(appId))
    catch { case problem: Throwable => Log.warn("lakehouse-listener could not delete its connection file", problem) }
    if (bridge != null) bridge.stop()
  }

  private def connection(port: Int, token: String): String = Json.obj { out =>
    Json.field(out, "version", Answer.Version)
    Json.field(out, "port", port)
    Json.field(out, "token", token)
    Json.field(out, "pid", pid())
    Json.field(out, "host", host())
    Json.field(out, "appId", appId)
    Json.field(out, "epoch", epoch)
    Json.field(out, "startedMs", startedMs)
  }

  private def background(what: String)(work: => Unit): Thread = {
    val thread = new Thread(s"lakehouse-listener-$what") {
      override def run(): Unit =
        try work
        catch { case problem: Throwable => Log.warn(s"lakehouse-listener failed in $what", problem) }
        finally costs.add(costs.cpu())
    }
    thread.setDaemon(true)
    thread.start()
    thread
  }
}

private[listener] object Session {
  /** Events remembered by identity; more than a queue of Spark's holds, so that a late queue brings nothing twice. */
  private val MostSeen = 16384
  private val DrainMs = 2000L
  private val EndMs = 4000L
  private val QuickWaits = 500

  /** After Spark's own hooks (40), which stop the context; before Hadoop closes file systems (10). */
  private val HookPriority = 20

  private var current: Session = null

  /** The session of the application `appId`: the one that runs, else a new one. Spark runs one application at a time. */
  def of(appId: String, conf: SparkConf): Session = synchronized {
    if (current == null || current.appId != appId || current.ended) {
      val former = current
      current = new Session(appId, conf)
      current.open(former)
      if (former == null) hook()
    }
    current
  }

  /** The session of the context that is active; where none is, the last one; null where there never was one. */
  def ofActiveContext(): Session = {
    val running = synchronized(current)
    if (running != null && !running.ended) running
    else SparkInside.activeContext() match {
      case context: SparkContext if !context.isStopped => of(context.applicationId, context.getConf)
      case _ => running
    }
  }

  private def hook(): Unit =
    try org.apache.hadoop.util.ShutdownHookManager.get.addShutdownHook(() => endCurrent(), HookPriority)
    catch { case problem: Throwable => Log.warn("lakehouse-listener has no shutdown hook", problem) }

  private def endCurrent(): Unit =
    try synchronized(current).end()
    catch { case _: Throwable => }

  /** Process id, by the one way that Java 8 has. */
  private def pid(): java.lang.Long =
    try process().takeWhile(_ != '@').toLong
    catch { case _: NumberFormatException => null }

  private def host(): String = process().dropWhile(_ != '@').drop(1)

  /** `4711@host`; Java looks the host up, so no thread of Spark's may ask. */
  private def process(): String = ManagementFactory.getRuntimeMXBean.getName
}
