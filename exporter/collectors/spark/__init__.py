"""What is told of a Spark driver."""
