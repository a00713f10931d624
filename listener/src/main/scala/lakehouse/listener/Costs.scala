package lakehouse.listener

import java.lang.management.ManagementFactory
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.{AtomicLong, LongAdder}

/** Counts what the listener itself costs the driver: CPU time of its threads and callbacks, and its worst callback. */
private[listener] final class Costs {
  private val threads = ManagementFactory.getThreadMXBean
  private val measured = threads.isCurrentThreadCpuTimeSupported && threads.isThreadCpuTimeEnabled
  private val parts = new LongAdder()
  private val worst = new AtomicLong()
  private val whole = new ConcurrentHashMap[Long, Long]()

  /** Counts the whole CPU time of a thread that runs for the listener alone. */
  def own(threadId: Long): Unit = whole.putIfAbsent(threadId, 0L): Unit

  /** Runs a callback on a thread of Spark's; its CPU time is a part of that thread's. */
  def callback(work: => Unit): Unit = {
    val alone = whole.containsKey(Thread.currentThread.getId)
    val began = System.nanoTime()
    val cpuBefore = if (alone) 0L else cpu()
    try work
    finally {
      if (!alone) parts.add(cpu() - cpuBefore)
      worst.accumulateAndGet(System.nanoTime() - began, (a, b) => math.max(a, b)): Unit
    }
  }

  /** Adds CPU time (ns) that a thread of ours measured for itself. */
  def add(nanos: Long): Unit = parts.add(nanos)

  /** CPU time (ns) of the current thread; 0 where the JVM does not measure it. */
  def cpu(): Long = if (measured) threads.getCurrentThreadCpuTime else 0L

  /** CPU time (ns) of all that the listener did; null where the JVM does not measure it. */
  def cpuNanos: java.lang.Long = if (!measured) null else {
    var sum = parts.sum()
    whole.keySet.forEach { id =>
      // An ended thread answers -1: its last figure stands.
      sum += whole.merge(id, threads.getThreadCpuTime(id), (a, b) => math.max(a, b))
    }
    sum
  }

  /** Wall time (ns) of the slowest callback. */
  def worstCallbackNanos: Long = worst.get
}
