"""What a stream's events mean: pure functions from what the listener said to frozen values."""
