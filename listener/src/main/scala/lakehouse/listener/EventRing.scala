package lakehouse.listener

import java.util.{ArrayDeque, ArrayList, Collections, List => JList}
import java.util.concurrent.TimeUnit

/** The newest events as bytes, bounded by count and by bytes; reading consumes nothing.
  *
  * Numbers come from outside and rise; one that never arrives was lost before it came here.
  */
private[listener] final class EventRing(maxEvents: Int, maxBytes: Long) {
  import EventRing._

  private val held = new ArrayDeque[Entry]()
  private var bytes = 0L
  private var settled = 0L
  private var dropped = 0L

  /** Takes an event and makes all numbers up to `settledSeq` settled, in one step for readers. */
  def put(seq: Long, line: Array[Byte], settledSeq: Long): Unit = synchronized {
    if (line.length > maxBytes) dropped += 1
    else {
      held.addLast(Entry(seq, line))
      bytes += line.length
      while (held.size > maxEvents || bytes > maxBytes) {
        bytes -= held.removeFirst().line.length
        dropped += 1
      }
    }
    settle(settledSeq)
  }

  /** Makes all numbers up to `settledSeq` settled: those that are not held are lost for good. */
  def settle(settledSeq: Long): Unit = synchronized {
    if (settledSeq > settled) {
      settled = settledSeq
      notifyAll()
    }
  }

  /** Waits until `seq` is settled; false where it was not in time. */
  def awaitSettled(seq: Long, millis: Long): Boolean = synchronized {
    val deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis)
    var left = millis
    while (settled < seq && left > 0) {
      wait(left)
      left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime())
    }
    settled >= seq
  }

  /** Settled events after `afterSeq`, oldest first: as many as `mostBytes` hold, at least one where there is one. */
  def read(afterSeq: Long, mostBytes: Long): Page = synchronized {
    val wanted = new ArrayList[Entry]()
    val newestFirst = held.descendingIterator()
    var reaching = true
    while (reaching && newestFirst.hasNext) {
      val entry = newestFirst.next()
      reaching = entry.seq > afterSeq
      if (reaching) wanted.add(entry)
    }
    Collections.reverse(wanted)
    val lines = new ArrayList[Array[Byte]]()
    var size = 0L
    while (lines.size < wanted.size && (lines.isEmpty || size + wanted.get(lines.size).line.length <= mostBytes)) {
      size += wanted.get(lines.size).line.length
      lines.add(wanted.get(lines.size).line)
    }
    val first = if (held.isEmpty) settled + 1 else held.peekFirst().seq
    Page(first, settled, lines.size < wanted.size, lines)
  }

  /** How full the ring is, how many events it lost to its bounds, and the newest settled number. */
  def fill: Fill = synchronized(Fill(held.size.toLong, bytes, dropped, settled))
}

private[listener] object EventRing {
  private final case class Entry(seq: Long, line: Array[Byte])

  /** One answer: the oldest number held, the newest settled, whether settled events remain, and the events. */
  final case class Page(firstSeq: Long, lastSeq: Long, more: Boolean, lines: JList[Array[Byte]])

  /** See [[EventRing.fill]]. */
  final case class Fill(events: Long, bytes: Long, dropped: Long, lastSeq: Long)
}
