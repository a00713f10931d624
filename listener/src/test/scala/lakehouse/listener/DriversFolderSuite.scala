package lakehouse.listener

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
    val now = System.currentTimeMillis
    val day = 24L * 3600 * 1000
    for ((name, age) <- Seq(
        "old.final.json" -> 2 * day, "new.final.json" -> day / 2, "old.json" -> 2 * day, "other.txt" -> 2 * day,
        ".old.json.half" -> 2 * day, ".new.json.half" -> 0L, ".profile" -> 2 * day)) {
      Files.setLastModifiedTime(Files.createFile(dir.resolve(name)), FileTime.fromMillis(now - age))
    }
    new DriversFolder(dir, groupReadable = false).sweep(now)

    assert(names(dir) === Set("new.final.json", "old.json", "other.txt", ".new.json.half", ".profile"))
  }

  test("an application's id can't name a file elsewhere") {
    assert(DriversFolder.connectionFile("../../etc/x y") === ".._.._etc_x_y.json")
    assert(DriversFolder.finalFile("app-2026_1.x") === "app-2026_1.x.final.json")
  }
}
