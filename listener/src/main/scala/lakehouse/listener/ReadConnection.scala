package lakehouse.listener

import java.io.{BufferedInputStream, BufferedWriter, ByteArrayOutputStream, IOException, OutputStreamWriter}
import java.net.Socket
import java.nio.charset.StandardCharsets.UTF_8
import java.security.MessageDigest
import java.util.ArrayList

import py4j.{Protocol, Py4JServerConnection, ReturnObject, StringUtil}

/** One reader's connection: it speaks py4j's protocol, and knows of it the token and the call of `poll` alone.
  *
  * An allow-list by construction: no command of py4j's is installed here, so a new one of py4j's opens nothing.
  */
private[listener] final class ReadConnection(
    socket: Socket,
    token: Array[Byte],
    costs: Costs,
    poll: (String, Long, Int) => String,
    authenticated: ReadConnection => Unit,
    stopped: Py4JServerConnection => Unit)
    extends Py4JServerConnection with Runnable {
  import ReadConnection._

  private val in = new BufferedInputStream(socket.getInputStream, 8192)
  private val out = new BufferedWriter(new OutputStreamWriter(socket.getOutputStream, UTF_8), 16384)
  private var cpuCounted = 0L

  /** Serves on a daemon thread of its own. */
  def start(): Unit = {
    val thread = new Thread(this, "lakehouse-listener-reader")
    thread.setDaemon(true)
    thread.start()
  }

  override def getSocket: Socket = socket

  override def shutdown(): Unit = shutdown(false)

  override def shutdown(reset: Boolean): Unit = {
    try socket.close()
    catch { case _: IOException => }
    authenticated(this) // no stranger any more, either way
    stopped(this)
  }

  override def run(): Unit =
    try if (admit()) serve()
    catch {
      case _: IOException => // the reader went away, was too slow, or is no py4j client
      case problem: Throwable => Log.warn("lakehouse-listener's bridge lost a reader", problem)
    } finally {
      shutdown()
      account()
    }

  /** Whether the first command shows the token. */
  private def admit(): Boolean =
    if (line() != Protocol.AUTH_COMMAND_NAME) {
      answer(Protocol.getOutputErrorCommand("Authentication error: unexpected command."))
      false
    } else if (!MessageDigest.isEqual(StringUtil.unescape(line()).getBytes(UTF_8), token)) {
      answer(Protocol.getOutputErrorCommand("Authentication error: bad auth token received."))
      false
    } else {
      authenticated(this)
      socket.setSoTimeout(ReaderTimeoutMs)
      answer(Protocol.getOutputVoidCommand)
      true
    }

  private def serve(): Unit = while (true) {
    answer(if (line() == "c") call(rest()) else refusal())
    account()
  }

  private def call(parts: ArrayList[String]): String =
    if (parts.size != 5 || parts.get(0) != Protocol.ENTRY_POINT_OBJECT_ID || parts.get(1) != "poll") refusal()
    else (parts.get(2), parts.get(3), parts.get(4)) match {
      case (Text(epoch), Number(afterSeq), Number(maxBytes)) =>
        try Protocol.getOutputCommand(ReturnObject.getPrimitiveReturnObject(poll(epoch, afterSeq, bounded(maxBytes))))
        catch { case problem: Throwable => Protocol.getOutputErrorCommand(s"poll failed: $problem") }
      case _ => refusal()
    }

  /** Refuses a command whole: py4j's client sends it at once and waits, so that all that came belongs to it.
    *
    * Where a command ends is not looked for: each has its own shape, and "e" may be its end or a part of it.
    */
  private def refusal(): String = {
    var left = LongestCommand
    while (in.available > 0) {
      left -= in.skip(in.available.toLong)
      if (left < 0) throw new IOException("too long a command")
    }
    Refused
  }

  private def bounded(bytes: Long): Int = math.max(0L, math.min(bytes, Int.MaxValue.toLong)).toInt

  private def rest(): ArrayList[String] = {
    val parts = new ArrayList[String]()
    var part = line()
    while (part != End) {
      if (parts.size == MostParts) throw new IOException("a command of too many parts")
      parts.add(part)
      part = line()
    }
    parts
  }

  private def line(): String = {
    val bytes = new ByteArrayOutputStream(64)
    var byte = in.read()
    while (byte != '\n') {
      if (byte < 0 || bytes.size == LongestLine) throw new IOException("no whole line")
      bytes.write(byte)
      byte = in.read()
    }
    new String(bytes.toByteArray, UTF_8)
  }

  private def answer(text: String): Unit = {
    out.write(text)
    out.flush()
  }

  private def account(): Unit = {
    val now = costs.cpu()
    costs.add(now - cpuCounted)
    cpuCounted = now
  }
}

private[listener] object ReadConnection {
  /** Milliseconds of silence after which a reader's connection is closed; py4j's client then connects again. */
  val ReaderTimeoutMs = 60000

  private val LongestLine = 4096
  private val MostParts = 16
  private val LongestCommand = LongestLine * MostParts.toLong
  private val End = Protocol.END.toString
  private val Refused = Protocol.getOutputErrorCommand("refused: this gateway answers poll(epoch, afterSeq, maxBytes) alone")

  // Plain values only: of py4j's other kinds of argument, some stand for objects, and some call back into Python.
  private object Text {
    def unapply(part: String): Option[String] =
      if (part.startsWith(Protocol.STRING_TYPE.toString)) Some(StringUtil.unescape(part.substring(1))) else None
  }

  private object Number {
    def unapply(part: String): Option[Long] =
      if (!part.matches("[iL]-?[0-9]{1,19}")) None
      else try Some(part.substring(1).toLong) catch { case _: NumberFormatException => None }
  }
}
