package lakehouse.listener

import java.io.{BufferedReader, InputStreamReader}
import java.net.{InetAddress, Socket}
import java.nio.charset.StandardCharsets.UTF_8

import org.scalatest.funsuite.AnyFunSuite

/** The bridge answers one call, to who shows the token, and nothing else to anybody. */
class BridgeSuite extends AnyFunSuite {
  private val Refusal = "!xsrefused: this gateway answers poll(epoch, afterSeq, maxBytes) alone"

  /** Speaks to the bridge as py4j's client does. */
  private final class Client(port: Int) extends AutoCloseable {
    private val socket = new Socket(InetAddress.getLoopbackAddress, port)
    socket.setSoTimeout(10000)
    private val in = new BufferedReader(new InputStreamReader(socket.getInputStream, UTF_8))

    def say(parts: String*): String = {
      socket.getOutputStream.write(parts.map(_ + "\n").mkString.getBytes(UTF_8))
      in.readLine()
    }

    /** Whether the bridge closed the connection. */
    def closed: Boolean =
      try in.readLine() == null
      catch { case _: java.net.SocketException => true }

    override def close(): Unit = socket.close()
  }

  private def echo(epoch: String, afterSeq: Long, maxBytes: Int): String = s"$epoch|$afterSeq|$maxBytes"

  private def serving(poll: (String, Long, Int) => String)(work: (Bridge, Int) => Unit): Unit = {
    val bridge = new Bridge(0, new Costs, poll)
    try work(bridge, bridge.start())
    finally bridge.stop()
  }

  private def admitted(poll: (String, Long, Int) => String = echo)(work: Client => Unit): Unit = serving(poll) {
    (bridge, port) =>
      val client = new Client(port)
      try {
        assert(client.say("A", bridge.token) === "!yv")
        work(client)
      } finally client.close()
  }

  test("poll is answered, with numbers as py4j writes them and text unescaped") {
    admitted() { client =>
      assert(client.say("c", "t", "poll", "sa\\\\b", "i5", "i7", "e") === "!ysa\\\\b|5|7")
      assert(client.say("c", "t", "poll", "s", "L5000000000", "i7", "e") === "!ys|5000000000|7")
      assert(client.say("c", "t", "poll", "s", "i-1", "L5000000000", "e") === "!ys|-1|2147483647")
    }
  }

  test("an answer of several lines and of any script arrives as it is") {
    admitted((_, _, _) => "a\nb\r\\ñ\uD83D\uDE00") { client =>
      assert(client.say("c", "t", "poll", "s", "i0", "i0", "e") === "!ysa\\nb\\r\\\\ñ\uD83D\uDE00")
    }
  }

  test("a poll that fails is told, and the connection goes on") {
    admitted((epoch, _, _) => if (epoch.isEmpty) throw new NoSuchMethodError("gone") else "ok") { client =>
      assert(client.say("c", "t", "poll", "s", "i0", "i0", "e").startsWith("!xspoll failed: java.lang.NoSuchMethodError"))
      assert(client.say("c", "t", "poll", "sx", "i0", "i0", "e") === "!ysok")
    }
  }

  test("every other call and every other command is refused, and the connection goes on") {
    val others = Seq(
      Seq("c", "t", "getClass", "e"),
      Seq("c", "t", "poll", "e"),
      Seq("c", "t", "poll", "s", "i0", "i0", "i0", "e"),
      Seq("c", "z:java.lang.System", "currentTimeMillis", "e"),
      Seq("c", "GATEWAY_SERVER", "shutdown", "e"),
      Seq("c", "o1", "poll", "s", "i0", "i0", "e"),
      Seq("c", "t", "poll", "n", "i0", "i0", "e"),
      Seq("c", "t", "poll", "ro1", "i0", "i0", "e"),
      Seq("c", "t", "poll", "s", "rt", "i0", "e"),
      Seq("c", "t", "poll", "s", "i0", "fp1;java.lang.Runnable", "e"),
      Seq("c", "t", "poll", "s", "d1.5", "i0", "e"),
      Seq("c", "t", "poll", "s", "i99999999999999999999", "i0", "e"),
      Seq("i", "java.util.ArrayList", "e"),
      Seq("s", "e"),
      Seq("q", "e"),
      Seq("A", "another token"),
      Seq("A", "another token", "e"),
      Seq("a", "e", "o1", "e"),
      Seq("f", "g", "o1", "e", "e"),
      Seq("c", "t", "e", "e"),
      Seq("r", "u", "x" * 10000, "rj", "e"),
      Seq("e"),
      Seq("no such command", "e")) ++
      Seq("a", "d", "f", "h", "j", "l", "m", "p", "r", "S", "x", "z").map(letter => Seq(letter, "g", "t", "out", "e"))
    admitted() { client =>
      others.foreach { other =>
        assert(client.say(other: _*) === Refusal, other)
        assert(client.say("c", "t", "poll", "se", "i1", "i2", "e") === "!yse|1|2", s"after $other")
      }
    }
  }

  test("a command that does not end closes its connection, and no other") {
    serving(echo) { (bridge, port) =>
      val endless = new Client(port)
      endless.say("A", bridge.token)
      endless.say(Seq("c") ++ Seq.fill(100)("part"): _*): Unit

      assert(endless.closed)
      val next = new Client(port)
      assert(next.say("A", bridge.token) === "!yv")
      assert(next.say("c", "t", "poll", "s", "i0", "i0", "e") === "!ys|0|0")
      Seq(endless, next).foreach(_.close())
    }
  }

  test("a wrong token, a part of the token and no token are sent away") {
    serving(echo) { (bridge, port) =>
      for (parts <- Seq(Seq("A", "wrong"), Seq("A", ""), Seq("A", bridge.token.take(42)), Seq("c", "t", "poll", "s", "i0", "i0", "e"))) {
        val client = new Client(port)
        assert(client.say(parts: _*).startsWith("!xsAuthentication error"), parts)
        assert(client.closed)
        client.close()
      }
    }
  }

  test("connections that show no token don't keep a reader out, however many they are") {
    serving(echo) { (bridge, port) =>
      val silent = Seq.fill(Bridge.MostStrangers * 3)(new Client(port))
      val reader = new Client(port)

      assert(reader.say("A", bridge.token) === "!yv")
      assert(reader.say("c", "t", "poll", "s", "i0", "i0", "e") === "!ys|0|0")
      (silent :+ reader).foreach(_.close())
    }
  }

  test("a token is 256 bits, and another one each time") {
    val tokens = Seq.fill(2)(new Bridge(0, new Costs, echo).token)

    assert(tokens.forall(_.matches("[A-Za-z0-9_-]{43}")))
    assert(tokens.distinct.size === 2)
  }

  test("a port that is taken is told to who starts the bridge") {
    serving(echo) { (_, port) =>
      intercept[py4j.Py4JNetworkException](new Bridge(port, new Costs, echo).start())
    }
  }

  test("no thread of the bridge keeps the driver alive") {
    admitted() { _ =>
      var ours = List.empty[Thread]
      Thread.getAllStackTraces.keySet.forEach(thread => if (thread.getName.startsWith("lakehouse-listener")) ours ::= thread)

      assert(ours.nonEmpty)
      assert(ours.filterNot(_.isDaemon) === Nil)
    }
  }

  test("stopping closes the port and the readers' connections") {
    serving(echo) { (bridge, port) =>
      val reader = new Client(port)
      reader.say("A", bridge.token)
      bridge.stop()

      assert(reader.closed)
      intercept[java.net.ConnectException](new Client(port))
      reader.close()
    }
  }
}
