package lakehouse.listener

import java.util.concurrent.{ArrayBlockingQueue, Semaphore, TimeUnit}

import scala.util.control.NonFatal

/** Takes events on Spark's threads, and turns them into bytes on one daemon thread of its own.
  *
  * @param line what an event looks like to readers, from its number, its time (ms since 1970) and itself
  * @param rested called on the intake's own thread whenever nothing waits any more
  * @param napMs how long events may then wait for company
  */
private[listener] final class Intake(
    capacity: Int,
    ring: EventRing,
    line: (Long, Long, AnyRef) => Array[Byte],
    rested: () => Unit,
    napMs: Long = Intake.NapMs) {
  import Intake.Taken

  private val waiting = new ArrayBlockingQueue[Taken](capacity)
  private val alarm = new Semaphore(0)
  private var taken = 0L
  private var overflowed = 0L
  @volatile private var failed = 0L
  @volatile private var closed = false

  private val thread = new Thread("lakehouse-listener-intake") {
    setDaemon(true)
    override def run(): Unit = while (!closed) turn()
  }

  /** Starts the serialising thread. */
  def start(): Unit = thread.start()

  /** Gives the event its number and lets it wait; where the queue is full it is lost, and its number stays a gap. */
  def offer(event: AnyRef): Unit = {
    val now = System.currentTimeMillis()
    // Number and place in the queue are one step: else two of Spark's threads could queue them the other way round.
    synchronized {
      taken += 1
      if (!waiting.offer(Taken(taken, now, event))) overflowed += 1
    }
  }

  /** Wakes the serialising thread from its nap: the event offered last can't wait. */
  def wake(): Unit = alarm.release()

  /** Waits until every event taken so far is settled; false where it was not in time. */
  def drain(millis: Long): Boolean = ring.awaitSettled(counted.taken, millis)

  /** Ends the thread; what still waits is lost. */
  def close(): Unit = {
    closed = true
    thread.interrupt()
  }

  /** Events taken, lost to the full queue, and not serialisable, since the start. */
  def counted: Intake.Counts = synchronized(Intake.Counts(taken, overflowed, failed))

  /** Id of the serialising thread. */
  def threadId: Long = thread.getId

  private def turn(): Unit =
    try {
      serialise(waiting.take())
      if (waiting.isEmpty) {
        rested()
        // Events then come in batches: a thread woken for each would spend more on waking than on most of them.
        alarm.tryAcquire(napMs, TimeUnit.MILLISECONDS)
        alarm.drainPermits(): Unit
      }
    } catch {
      case _: InterruptedException => // close() wants the loop to look at `closed`
      case problem: Throwable => Log.warn("lakehouse-listener's intake failed, and goes on", problem)
    }

  private def serialise(event: Taken): Unit =
    try {
      val bytes = line(event.seq, event.atMs, event.event)
      ring.put(event.seq, bytes, settled())
    } catch {
      case interrupted: InterruptedException => throw interrupted
      case problem: Throwable =>
        failed += 1
        ring.settle(settled())
        if (!NonFatal(problem)) Log.warn("lakehouse-listener lost an event", problem)
    }

  /** All numbers below the first that still waits are settled, also those that the full queue turned away. */
  private def settled(): Long = synchronized {
    val next = waiting.peek()
    if (next == null) taken else next.seq - 1
  }
}

private[listener] object Intake {
  private val NapMs = 100L

  private final case class Taken(seq: Long, atMs: Long, event: AnyRef)

  /** See [[Intake.counted]]. */
  final case class Counts(taken: Long, overflowed: Long, failed: Long)
}
