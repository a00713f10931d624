package lakehouse.listener

import java.net.{InetAddress, ServerSocket, Socket}
import java.nio.charset.StandardCharsets.US_ASCII
import java.security.SecureRandom
import java.util.{Base64, Collections, LinkedHashSet}
import java.util.concurrent.TimeUnit
import javax.net.ServerSocketFactory

import py4j.{CallbackClient, Gateway, GatewayServer, Py4JServerConnection}
import py4j.commands.Command

/** The door for readers: a py4j gateway on loopback that answers one call, `poll`, to who knows its token.
  *
  * @param poll  answers a reader: epoch, last number it has, bytes of events it wants at most
  */
private[listener] final class Bridge(fixedPort: Int, costs: Costs, poll: (String, Long, Int) => String) {
  import Bridge._

  /** What a reader must know: 256 random bits, URL-safe base64. */
  val token: String = {
    val bits = new Array[Byte](32)
    new SecureRandom().nextBytes(bits)
    Base64.getUrlEncoder.withoutPadding.encodeToString(bits)
  }

  private val strangers = new LinkedHashSet[ReadConnection]()
  private val server = new Server
  @volatile private var stopped = false
  private val acceptor = new Thread("lakehouse-listener-bridge") {
    setDaemon(true)
    // py4j leaves its loop at the first failed accept, which may only mean that files ran out for a while.
    override def run(): Unit = while (!stopped) {
      server.run()
      if (!stopped) Thread.sleep(PauseMs)
    }
  }

  /** Listens, on a daemon thread; the port, or an exception where the fixed one is taken. */
  def start(): Int = {
    val port = server.listen()
    acceptor.start()
    costs.own(acceptor.getId)
    port
  }

  /** Closes the port and every connection; when it returns, the port is free for the next application. */
  def stop(): Unit = {
    stopped = true
    server.shutdown()
    // A socket that a thread waits at stays open in the kernel until that thread has left it.
    acceptor.join(PauseMs)
  }

  /** Keeps room for a new connection: when too many have not shown the token, the eldest of them goes. */
  private def meet(connection: ReadConnection): Unit = {
    val eldest = strangers.synchronized {
      strangers.add(connection)
      if (strangers.size > MostStrangers) strangers.iterator.next() else null
    }
    if (eldest != null) eldest.shutdown()
  }

  private def forget(connection: ReadConnection): Unit = strangers.synchronized(strangers.remove(connection)): Unit

  // The gateway is py4j's way to objects of the driver. None is in it, and no command that would use it is answered.
  private final class Server
      extends GatewayServer(
        new Gateway(null, noCallbacks()), fixedPort, InetAddress.getLoopbackAddress, 0, StrangerTimeoutMs,
        Collections.emptyList[Class[_ <: Command]](), NoDelay) {
    def listen(): Int = {
      startSocket()
      getListeningPort
    }

    override protected def createConnection(gateway: Gateway, socket: Socket): Py4JServerConnection = {
      val connection = new ReadConnection(socket, token.getBytes(US_ASCII), costs, poll, forget, connectionStopped)
      meet(connection)
      connection.start()
      connection
    }
  }
}

private[listener] object Bridge {
  /** Connections that may wait without having shown the token. */
  val MostStrangers = 32

  /** Milliseconds of silence that a connection without the token is allowed. */
  val StrangerTimeoutMs = 5000

  private val PauseMs = 1000L

  /** A client of Python callbacks that can call nobody: py4j's own starts a thread that keeps the driver alive. */
  private def noCallbacks() = new CallbackClient(0, InetAddress.getLoopbackAddress, 0L, TimeUnit.SECONDS)

  /** Sockets that send at once: with Nagle's algorithm each answer over 8 KB waits 40 ms for an acknowledgement. */
  private object NoDelay extends ServerSocketFactory {
    override def createServerSocket(): ServerSocket = new ServerSocket() {
      override def accept(): Socket = {
        val socket = super.accept()
        socket.setTcpNoDelay(true)
        socket
      }
    }
    override def createServerSocket(port: Int): ServerSocket = unused()
    override def createServerSocket(port: Int, backlog: Int): ServerSocket = unused()
    override def createServerSocket(port: Int, backlog: Int, address: InetAddress): ServerSocket = unused()
    private def unused() = throw new UnsupportedOperationException("py4j makes an unbound socket and binds it")
  }
}
