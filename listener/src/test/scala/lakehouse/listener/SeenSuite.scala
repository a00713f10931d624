package lakehouse.listener

import org.scalatest.funsuite.AnyFunSuite

/** One event counts once, whatever number of queues brings it. */
class SeenSuite extends AnyFunSuite {
  test("the same event is first once, an equal one is another event") {
    val seen = new Seen(10)
    val event = new String("event")
    val equal = new String("event")

    assert(List(seen.first(event), seen.first(event), seen.first(equal), seen.first(equal)) === List(true, false, true, false))
  }

  test("only so many are remembered, the eldest goes first") {
    val seen = new Seen(2)
    val events = List("a", "b", "c").map(new String(_))
    events.foreach(seen.first)

    assert(!seen.first(events(2)))
    assert(!seen.first(events(1)))
    assert(seen.first(events(0)))
  }
}
