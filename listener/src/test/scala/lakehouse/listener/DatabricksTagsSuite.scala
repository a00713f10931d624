package lakehouse.listener

import org.apache.spark.SparkConf
import org.scalatest.funsuite.AnyFunSuite

/** Of Databricks' configuration only known tags leave the driver. */
class DatabricksTagsSuite extends AnyFunSuite {
  private def tags(settings: (String, String)*): String = {
    val conf = new SparkConf(false)
    settings.foreach { case (key, value) => conf.set(s"spark.databricks.$key", value) }
    DatabricksTags.of(conf).toString
  }

  test("a configuration without tags has none") {
    assert(tags("service.dbutils.token" -> "secret") === "{}")
  }

  test("allowed tags lose their prefix, others stay where they are") {
    val told = tags(
      "clusterUsageTags.clusterId" -> "1122-cluster",
      "clusterUsageTags.driverInstancePrivateIp" -> "10.0.0.1",
      "workspaceUrl" -> "dbc.example.net",
      "job.runId" -> "42",
      "token" -> "secret")

    assert(told === "{clusterUsageTags.clusterId=1122-cluster, workspaceUrl=dbc.example.net, job.runId=42}")
  }

  test("of the list of all tags only four are handed on") {
    val all = """[{"key":"Owner","value":"me@example.net"},{"key":"ClusterName","value":"a \"b\""},{"key":"JobId","value":"7"},""" +
      """{"key":"RunName","value":"r"},{"key":"ClusterId","value":"c"},{"key":"Password","value":"x"}]"""

    assert(tags("clusterUsageTags.clusterAllTags" -> all) ===
      """{clusterUsageTags.clusterAllTags=[{"key":"ClusterName","value":"a \"b\""},{"key":"JobId","value":"7"},""" +
        """{"key":"RunName","value":"r"},{"key":"ClusterId","value":"c"}]}""")
  }

  test("a list of all tags that can't be read is left out") {
    for (unreadable <- Seq("", "[{", "{\"key\":\"Owner\"}", "\"text\"", "Owner=me")) {
      assert(tags("clusterUsageTags.clusterAllTags" -> unreadable) === "{}", unreadable)
    }
  }
}
