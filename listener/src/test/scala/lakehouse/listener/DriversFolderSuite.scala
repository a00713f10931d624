package lakehouse.listener

import java.net.{InetAddress, ServerSocket}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path}
import java.nio.file.attribute.{FileTime, PosixFilePermissions}

import org.scalatest.funsuite.AnyFunSuite

/** Who may read the folder's files, when they appear, and how long they stay. */
class DriversFolderSuite extends AnyFunSuite {
  private def parent(): Path = Files.createTempDirectory("drivers")

  private def mode(path: Path): String = PosixFilePermissions.toString(Files.getPosixFilePermissions(path))

  private def names(dir: Path): Set[String] = {
    var found = Set.empty[String]
    val files = Files.newDirectoryStream(dir)
    try files.forEach(file => found += file.getFileName.toString)
    finally files.close()
    found
  }

  private val now = System.currentTimeMillis
  private val day = 24L * 3600 * 1000

  /** A file that was last touched so long (ms) before now. */
  private def aged(file: Path, age: Long, text: String = ""): Unit =
    Files.setLastModifiedTime(Files.write(file, text.getBytes(UTF_8)), FileTime.fromMillis(now - age)): Unit

  private def connection(port: Int, host: String = "here") = s"""{"version": 1, "port": $port, "host": "$host", "new": []}"""

  private def listening(): ServerSocket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress)

  /** A port that was free a moment ago. */
  private def closedPort(): Int = {
    val socket = listening()
    socket.close()
    socket.getLocalPort
  }

  private def sweep(dir: Path): Unit = new DriversFolder(dir, groupReadable = false).sweep(now, "here")

  private def text(file: Path): String = new String(Files.readAllBytes(file), UTF_8)

  test("folder and files are the user's alone") {
    val dir = parent().resolve("a/b")
    val folder = new DriversFolder(dir, groupReadable = false)
    folder.make()
    folder.write("app.json", "{}")

    assert((mode(dir), mode(dir.getParent), mode(dir.resolve("app.json"))) === (("rwx------", "rwx------", "rw-------")))
  }

  test("groupReadable lets the group read, and nobody else") {
    val dir = parent().resolve("drivers")
    val folder = new DriversFolder(dir, groupReadable = true)
    folder.make()
    folder.write("app.json", "{}")

    assert((mode(dir), mode(dir.resolve("app.json"))) === (("rwxr-x---", "rw-r-----")))
  }

  test("a folder that is there keeps its mode") {
    val dir = parent()
    Files.setPosixFilePermissions(dir, PosixFilePermissions.fromString("rwxr-xr-x"))
    new DriversFolder(dir, groupReadable = false).make()

    assert(mode(dir) === "rwxr-xr-x")
  }

  test("a file is replaced whole, and nothing else is left") {
    val dir = parent()
    val folder = new DriversFolder(dir, groupReadable = false)
    folder.write("app.json", "a first text that is longer")
    folder.write("app.json", "second")

    assert((text(dir.resolve("app.json")), names(dir)) === (("second", Set("app.json"))))
  }

  test("a write that fails leaves nothing behind") {
    val dir = parent()
    Files.createDirectories(dir.resolve("app.json/occupied"))
    val folder = new DriversFolder(dir, groupReadable = false)

    intercept[java.io.IOException](folder.write("app.json", "text"))
    assert(names(dir) === Set("app.json"))
  }

  test("sweeping takes final and half written files older than a day, and nothing else") {
    val dir = parent()
    for ((name, age) <- Seq(
        "old.final.json" -> 2 * day, "new.final.json" -> day / 2, "other.txt" -> 2 * day,
        ".old.json.half" -> 2 * day, ".new.json.half" -> 0L, ".profile" -> 2 * day)) {
      aged(dir.resolve(name), age)
    }
    sweep(dir)

    assert(names(dir) === Set("new.final.json", "other.txt", ".new.json.half", ".profile"))
  }

  test("an old connection file stays while its port answers, and is swept when it refuses") {
    val dir = parent()
    val driver = listening()
    try {
      aged(dir.resolve("old.json"), 2 * day, connection(driver.getLocalPort))
      sweep(dir)
      assert(names(dir) === Set("old.json"))
    } finally driver.close()

    sweep(dir)
    assert(names(dir) === Set.empty)
  }

  test("a connection file whose driver can't be told to be gone stays") {
    val dir = parent()
    val port = closedPort()
    aged(dir.resolve("new.json"), day / 2, connection(port))
    aged(dir.resolve("other-host.json"), 2 * day, connection(port, host = "there"))
    for ((name, text) <- Seq("empty" -> "", "broken" -> "{", "list" -> "[1]", "no-port" -> """{"host": "here"}""",
        "zero" -> connection(0), "beyond" -> connection(70000), "large" -> (connection(port) + " " * 70000))) {
      aged(dir.resolve(s"$name.json"), 2 * day, text)
    }
    val before = names(dir)
    sweep(dir)

    assert(names(dir) === before)
  }

  test("only so many ports are tried at a time") {
    val dir = parent()
    val port = closedPort()
    for (number <- 1 to 60) aged(dir.resolve(s"$number.json"), 2 * day, connection(port))

    sweep(dir)
    assert(names(dir).size === 10)
    sweep(dir)
    assert(names(dir).size === 0)
  }

  test("an entry that can't be deleted keeps no other from being swept") {
    val dir = parent()
    val stuck = (1 to 10).map(number => s"stuck-$number.final.json")
    for (name <- stuck) {
      Files.createDirectories(dir.resolve(name).resolve("occupied"))
      Files.setLastModifiedTime(dir.resolve(name), FileTime.fromMillis(now - 2 * day))
    }
    for (number <- 1 to 10) aged(dir.resolve(s"$number.final.json"), 2 * day)
    sweep(dir)

    assert(names(dir) === stuck.toSet)
  }

  test("an application's id can't name a file elsewhere") {
    assert(DriversFolder.connectionFile("../../etc/x y") === ".._.._etc_x_y.json")
    assert(DriversFolder.finalFile("app-2026_1.x") === "app-2026_1.x.final.json")
  }
}
