"""What the control plane's answers mean: pure functions from what Databricks said to frozen values."""
