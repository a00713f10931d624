"""The world as Databricks tells it: pure functions from the world and a request to a document."""
