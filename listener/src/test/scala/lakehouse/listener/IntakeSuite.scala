package lakehouse.listener

import java.nio.charset.StandardCharsets.UTF_8
import java.util.concurrent.CountDownLatch
import java.util.concurrent.atomic.AtomicInteger

import org.scalatest.funsuite.AnyFunSuite

/** What happens to events between Spark's thread and the ring. */
class IntakeSuite extends AnyFunSuite {
  private def plain(seq: Long, atMs: Long, event: AnyRef): Array[Byte] = s"$seq $event".getBytes(UTF_8)

  private def lines(ring: EventRing): List[String] = {
    var read = List.empty[String]
    ring.read(0, Long.MaxValue).lines.forEach(bytes => read = new String(bytes, UTF_8) :: read)
    read.reverse
  }

  private def using(intake: Intake)(work: => Unit): Unit =
    try work
    finally intake.close()

  test("events get their numbers in the order in which they are offered") {
    val ring = new EventRing(10, 1000)
    val intake = new Intake(10, ring, plain, () => ())
    using(intake) {
      intake.start()
      List("a", "b", "c").foreach(intake.offer)

      assert(intake.drain(10000))
      assert(lines(ring) === List("1 a", "2 b", "3 c"))
    }
  }

  test("a full queue loses events exactly: each is counted, and is a gap that is settled") {
    val ring = new EventRing(100, 10000)
    val inHand, release = new CountDownLatch(1)
    val intake = new Intake(
      2, ring, (seq, atMs, event) => { inHand.countDown(); release.await(); plain(seq, atMs, event) }, () => ())
    using(intake) {
      intake.start()
      intake.offer("in hand")
      inHand.await()
      (1 to 5).foreach(number => intake.offer(s"queued $number"))

      assert(intake.counted === Intake.Counts(6, 3, 0))
      assert(ring.fill.lastSeq === 0)
      release.countDown()
      assert(intake.drain(10000))
      assert(lines(ring) === List("1 in hand", "2 queued 1", "3 queued 2"))
      assert(ring.fill.lastSeq === 6)

      intake.offer("after")
      assert(intake.drain(10000))
      assert(lines(ring).last === "7 after")
    }
  }

  test("an event that can't be serialised costs itself alone, whatever it throws") {
    val ring = new EventRing(10, 1000)
    val thrown = Map[AnyRef, Throwable]("bad" -> new IllegalStateException("bad"), "worse" -> new NoSuchMethodError("worse"))
    val intake = new Intake(
      10, ring, (seq, atMs, event) => { thrown.get(event).foreach(throw _); plain(seq, atMs, event) }, () => ())
    using(intake) {
      intake.start()
      List("a", "bad", "worse", "b").foreach(intake.offer)

      assert(intake.drain(10000))
      assert(lines(ring) === List("1 a", "4 b"))
      assert(intake.counted === Intake.Counts(4, 0, 2))
    }
  }

  test("numbers and order agree when several threads offer at once") {
    val ring = new EventRing(100000, 10000000)
    val intake = new Intake(100000, ring, plain, () => ())
    using(intake) {
      intake.start()
      val offering = (1 to 4).map(_ => new Thread(() => (1 to 500).foreach(_ => intake.offer("x"))))
      offering.foreach(_.start())
      offering.foreach(_.join())

      assert(intake.drain(10000))
      assert(lines(ring) === (1 to 2000).map(seq => s"$seq x").toList)
    }
  }

  test("an event that can't wait cuts the nap short") {
    val ring = new EventRing(10, 1000)
    val rested = new CountDownLatch(1)
    val intake = new Intake(10, ring, plain, () => rested.countDown(), napMs = 60000)
    using(intake) {
      intake.start()
      intake.offer("a")
      rested.await()
      intake.offer("b")
      intake.wake()

      assert(intake.drain(10000))
      assert(lines(ring) === List("1 a", "2 b"))
    }
  }

  test("it tells when nothing waits any more") {
    val rests = new AtomicInteger()
    val rested = new CountDownLatch(1)
    val intake = new Intake(10, new EventRing(10, 100), plain, () => { rests.incrementAndGet(); rested.countDown() })
    using(intake) {
      intake.start()
      intake.offer("a")
      rested.await()

      assert(rests.get === 1)
    }
  }
}
