package lakehouse.listener

import java.util.{LinkedHashMap, Map => JMap}

import com.fasterxml.jackson.core.JsonProcessingException
import com.fasterxml.jackson.databind.node.ArrayNode
import org.apache.spark.SparkConf

/** Which of Databricks' own tags leave the driver: a closed list, because its configuration also holds secrets. */
private[listener] object DatabricksTags {
  private val Prefix = "spark.databricks."
  private val AllTags = "clusterUsageTags.clusterAllTags"
  private val Keys = Seq(
    "clusterUsageTags.clusterId",
    "clusterUsageTags.clusterName",
    "clusterUsageTags.clusterOwnerOrgId",
    "clusterUsageTags.orgId",
    AllTags,
    "clusterUsageTags.sparkVersion",
    "workspaceUrl",
    "job.id",
    "job.runId",
    "job.parentRunId")
  private val Tags = Set("ClusterId", "ClusterName", "JobId", "RunName")

  /** Allowed tags that `conf` has, without their common prefix; empty where this is no Databricks. */
  def of(conf: SparkConf): JMap[String, String] = {
    val tags = new LinkedHashMap[String, String]()
    for (key <- Keys; value <- conf.getOption(Prefix + key)) {
      if (key == AllTags) allowed(value).foreach(tags.put(key, _)) else tags.put(key, value)
    }
    tags
  }

  /** The list of tags, a JSON text, with only those that may leave; none where it can't be read. */
  private def allowed(allTags: String): Option[String] =
    try {
      Json.tree(allTags) match {
        case list: ArrayNode =>
          val tags = list.elements()
          while (tags.hasNext) if (!Tags(tags.next().path("key").asText(""))) tags.remove()
          Some(list.toString)
        case _ => None
      }
    } catch { case _: JsonProcessingException => None }
}
