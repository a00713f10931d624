package lakehouse.listener

import java.lang.ref.WeakReference
import java.util.LinkedHashSet

/** Tells whether this very event was handed over before: one event reaches us on several of Spark's queues.
  *
  * It goes by identity, and keeps no event alive.
  */
private[listener] final class Seen(most: Int) {
  import Seen.Mark

  private val marks = new LinkedHashSet[Mark]()

  /** True the first time an event comes. */
  def first(event: AnyRef): Boolean = synchronized {
    val fresh = marks.add(new Mark(event))
    if (marks.size > most) {
      val eldest = marks.iterator()
      eldest.next()
      eldest.remove()
    }
    fresh
  }
}

private[listener] object Seen {
  private final class Mark(event: AnyRef) extends WeakReference[AnyRef](event) {
    override val hashCode: Int = System.identityHashCode(event)
    override def equals(other: Any): Boolean = other match {
      case mark: Mark => (this eq mark) || { val event = get(); event != null && (event eq mark.get()) }
      case _ => false
    }
  }
}
