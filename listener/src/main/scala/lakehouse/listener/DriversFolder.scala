package lakehouse.listener

import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path, StandardCopyOption, StandardOpenOption}
import java.nio.file.attribute.{FileAttribute, PosixFilePermission, PosixFilePermissions}
import java.util.{EnumSet, Set => JSet, UUID}
import java.util.concurrent.TimeUnit

/** The folder in which drivers tell where they are, and what they said last. Its files appear whole or not at all. */
private[listener] final class DriversFolder(dir: Path, groupReadable: Boolean) {
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

  /** Deletes final files, and files left half written, that are older than a day at `nowMs`. */
  def sweep(nowMs: Long): Unit = {
    val files = Files.newDirectoryStream(dir)
    try files.forEach(file => if (isPast(file, nowMs)) Files.deleteIfExists(file): Unit)
    finally files.close()
  }

  private def isPast(file: Path, nowMs: Long): Boolean = {
    val name = file.getFileName.toString
    val ours = name.endsWith(".final.json") || (name.startsWith(".") && name.contains(".json."))
    ours && nowMs - Files.getLastModifiedTime(file).toMillis > TimeUnit.DAYS.toMillis(1)
  }

  private def permissions(text: String): Seq[FileAttribute[JSet[PosixFilePermission]]] =
    if (posix) Seq(PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(text))) else Nil
}

private[listener] object DriversFolder {
  /** Name of an application's connection file. */
  def connectionFile(appId: String): String = safe(appId) + ".json"

  /** Name of the file with an application's last words. */
  def finalFile(appId: String): String = safe(appId) + ".final.json"

  private def safe(appId: String): String = appId.replaceAll("[^A-Za-z0-9._-]", "_")
}
