"""A Databricks workspace that is not there: a seeded world, its REST API, and the ways in which that API fails."""
