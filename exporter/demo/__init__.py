"""A local Spark with streams that each show something, and the exporter beside it."""
