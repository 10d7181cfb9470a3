"""What is expected of a result: the truth, and the derived bound around it."""
