package lakehouse.listener

import java.net.{ConnectException, InetAddress, InetSocketAddress, Socket}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, LinkOption, Path, StandardCopyOption, StandardOpenOption}
import java.nio.file.attribute.{FileAttribute, PosixFilePermission, PosixFilePermissions}
import java.util.{EnumSet, Set => JSet, UUID}
import java.util.concurrent.TimeUnit

import scala.util.control.NonFatal

/** The folder in which drivers tell where they are, and what they said last. Its files appear whole or not at all. */
private[listener] final class DriversFolder(dir: Path, groupReadable: Boolean) {
  import DriversFolder._

  private val posix = dir.getFileSystem.supportedFileAttributeViews.contains("posix")

  /** Makes the folder where it is missing; one that is there stays as it is. */
  def make(): Unit = if (!Files.isDirectory(dir)) {
    Files.createDirectories(dir.toAbsolutePath, permissions("rwx------"): _*)
    // The umask may have taken the group's part away.
    if (posix && groupReadable) Files.setPosixFilePermissions(dir, PosixFilePermissions.fromString("rwxr-x---")): Unit
  }

  /** Writes `text` aside and renames it to `name`; readers see the old file or the new one. */
  def write(name: String, text: String): Unit = {
    val aside = dir.resolve(s".$name.${UUID.randomUUID}")
    try {
      val fresh = EnumSet.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)
      val channel = Files.newByteChannel(aside, fresh, permissions("rw-------"): _*)
      try {
        val bytes = java.nio.ByteBuffer.wrap(text.getBytes(UTF_8))
        while (bytes.hasRemaining) channel.write(bytes)
      } finally channel.close()
      if (posix && groupReadable) Files.setPosixFilePermissions(aside, PosixFilePermissions.fromString("rw-r-----"))
      Files.move(aside, dir.resolve(name), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING): Unit
    } finally Files.deleteIfExists(aside): Unit
  }

  /** Deletes the file `name`, where it is there. */
  def delete(name: String): Unit = Files.deleteIfExists(dir.resolve(name)): Unit

  /** Deletes what drivers before this one left: of files older than a day at `nowMs` the final ones, those half written,
    * and the connection files of drivers on `host`, the one we are on, whose port refuses us: they were killed.
    *
    * A file that can't be judged or deleted stays, and keeps no other from being swept.
    */
  def sweep(nowMs: Long, host: String): Unit = {
    var tries = MostTries
    val files = Files.newDirectoryStream(dir)
    try files.forEach { file =>
      try {
        val name = file.getFileName.toString
        if (isOurs(name) && nowMs - Files.getLastModifiedTime(file).toMillis > TimeUnit.DAYS.toMillis(1)) {
          if (!isConnection(name)) Files.deleteIfExists(file): Unit
          else if (tries > 0) {
            tries -= 1
            if (isLeft(file, host)) Files.deleteIfExists(file): Unit
          }
        }
      } catch { case NonFatal(_) => } // Another driver renamed or swept it meanwhile, or it is another user's.
    } finally files.close()
  }

  /** Whether nobody answers where the connection file says; a driver that is frozen still takes connections. */
  private def isLeft(file: Path, host: String): Boolean =
    // A pipe would be read for ever, and what is large is no connection file.
    Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) && Files.size(file) <= LongestConnection && {
      val told = Json.tree(new String(Files.readAllBytes(file), UTF_8))
      // The folder may be shared by hosts, and loopback knows of this one alone.
      told.path("host").asText(null) == host && refuses(told.path("port").asInt)
    }

  private def refuses(port: Int): Boolean = {
    val socket = new Socket()
    try {
      socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress, port), ConnectMs)
      false
    } catch { case _: ConnectException => port > 0 }
    finally socket.close()
  }

  private def permissions(text: String): Seq[FileAttribute[JSet[PosixFilePermission]]] =
    if (posix) Seq(PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(text))) else Nil
}

private[listener] object DriversFolder {
  private val MostTries = 50
  private val ConnectMs = 200
  private val LongestConnection = 65536L

  /** Name of an application's connection file. */
  def connectionFile(appId: String): String = safe(appId) + ".json"

  /** Name of the file with an application's last words. */
  def finalFile(appId: String): String = safe(appId) + ".final.json"

  private def isConnection(name: String): Boolean = name.endsWith(".json") && !name.endsWith(".final.json")

  private def isOurs(name: String): Boolean = if (name.startsWith(".")) name.contains(".json.") else name.endsWith(".json")

  private def safe(appId: String): String = appId.replaceAll("[^A-Za-z0-9._-]", "_")
}
