package lakehouse.listener

import java.io.StringWriter

import com.fasterxml.jackson.core.{JsonFactory, JsonGenerator}
import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import com.fasterxml.jackson.databind.node.ObjectNode

/** Writes and reads JSON text, with the Jackson that Spark brings. */
private[listener] object Json {
  private val factory = new JsonFactory()
  private val mapper = new ObjectMapper()

  /** The text of one object whose fields `fields` writes. */
  def obj(fields: JsonGenerator => Unit): String = {
    val text = new StringWriter()
    val out = factory.createGenerator(text)
    out.writeStartObject()
    fields(out)
    out.writeEndObject()
    out.close()
    text.toString
  }

  /** A field that is null where its value is not known or could not be told. */
  def field(out: JsonGenerator, name: String, value: Any): Unit = {
    out.writeFieldName(name)
    value match {
      case null => out.writeNull()
      case text: String => out.writeString(text)
      case yes: Boolean => out.writeBoolean(yes)
      case number: Int => out.writeNumber(number)
      case number: Long => out.writeNumber(number)
      case other => out.writeString(other.toString)
    }
  }

  /** A field whose value is JSON text already; null where there is none. */
  def raw(out: JsonGenerator, name: String, json: String): Unit = {
    out.writeFieldName(name)
    if (json == null) out.writeNull() else out.writeRawValue(json)
  }

  /** `json` itself; throws where it is no JSON: one event that is none would make a whole answer unreadable. */
  def checked(json: String): String = {
    val parser = factory.createParser(json)
    try {
      parser.nextToken()
      parser.skipChildren()
      if (parser.currentToken == null || parser.nextToken() != null) throw new IllegalArgumentException("not one JSON value")
    } finally parser.close()
    json
  }

  /** The tree of a JSON text; throws where it is none. */
  def tree(json: String): JsonNode = mapper.readTree(json)

  /** `json` with its text field `name` cut to `most` characters. */
  def cut(json: String, name: String, most: Int): String = tree(json) match {
    case node: ObjectNode if node.path(name).isTextual && node.path(name).textValue.length > most =>
      node.put(name, node.path(name).textValue.substring(0, most)).toString
    case _ => json
  }
}
