"""What is told of a Databricks workspace."""
