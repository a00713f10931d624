package lakehouse.listener

import java.nio.charset.StandardCharsets.UTF_8

import org.scalatest.funsuite.AnyFunSuite

/** What readers may rely on when they follow the ring. */
class EventRingSuite extends AnyFunSuite {
  private def line(text: String): Array[Byte] = text.getBytes(UTF_8)

  private def filled(maxEvents: Int, maxBytes: Long, texts: String*): EventRing = {
    val ring = new EventRing(maxEvents, maxBytes)
    texts.zipWithIndex.foreach { case (text, index) => ring.put(index + 1L, line(text), index + 1L) }
    ring
  }

  private def texts(page: EventRing.Page): List[String] = {
    var read = List.empty[String]
    page.lines.forEach(bytes => read = new String(bytes, UTF_8) :: read)
    read.reverse
  }

  test("an empty ring says that nothing is settled and nothing held") {
    val page = new EventRing(3, 100).read(0, 100)

    assert((page.firstSeq, page.lastSeq, page.more, texts(page)) === ((1L, 0L, false, Nil)))
  }

  test("reading gives what comes after a number, and consumes nothing") {
    val ring = filled(10, 100, "a", "b", "c")

    assert(texts(ring.read(1, 100)) === List("b", "c"))
    assert(texts(ring.read(1, 100)) === List("b", "c"))
    assert(texts(ring.read(3, 100)) === Nil)
    assert(texts(ring.read(99, 100)) === Nil)
    assert(texts(ring.read(-1, 100)) === List("a", "b", "c"))
  }

  test("the ring holds the newest by count, and counts what it dropped") {
    val ring = filled(2, 100, "a", "b", "c", "d")
    val page = ring.read(0, 100)

    assert((page.firstSeq, page.lastSeq, texts(page)) === ((3L, 4L, List("c", "d"))))
    assert(ring.fill === EventRing.Fill(2, 2, 2, 4))
  }

  test("the ring holds the newest by bytes, and counts what it dropped") {
    val ring = filled(10, 10, "aaaa", "bbbb", "cc", "dddddd")

    assert(texts(ring.read(0, 100)) === List("cc", "dddddd"))
    assert(ring.fill === EventRing.Fill(2, 8, 2, 4))
  }

  test("an event larger than the ring is dropped alone, and the others stay") {
    val ring = filled(10, 4, "aa", "much too large", "bb")
    val page = ring.read(0, 100)

    assert(texts(page) === List("aa", "bb"))
    assert((page.firstSeq, page.lastSeq, ring.fill.dropped) === ((1L, 3L, 1L)))
  }

  test("pages follow one another without gap or repeat, however small a page is") {
    val ring = filled(10, 100, "aaa", "bbb", "ccc", "ddd")
    val first = ring.read(0, 6)
    val second = ring.read(2, 6)
    val least = ring.read(0, 0)

    assert((texts(first), first.more) === ((List("aaa", "bbb"), true)))
    assert((texts(second), second.more) === ((List("ccc", "ddd"), false)))
    assert((texts(least), least.more) === ((List("aaa"), true)))
  }

  test("numbers that never came are settled with those after them, and with the tail") {
    val ring = new EventRing(10, 100)
    ring.put(1, line("a"), 1)
    ring.put(5, line("b"), 7)
    val page = ring.read(1, 100)

    assert((page.firstSeq, page.lastSeq, texts(page)) === ((1L, 7L, List("b"))))
  }

  test("when nothing is held any more, the first number is the one after the last") {
    val ring = new EventRing(10, 100)
    ring.settle(4)
    val page = ring.read(0, 100)

    assert((page.firstSeq, page.lastSeq) === ((5L, 4L)))
  }

  test("waiting for a number ends when it is settled, and gives up when it is not") {
    val ring = new EventRing(10, 100)
    val settler = new Thread(() => ring.settle(3))
    settler.start()

    assert(ring.awaitSettled(3, 10000))
    assert(!ring.awaitSettled(4, 1))
    settler.join()
  }
}
