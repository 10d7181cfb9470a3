"""What is asked: cases, their geometries, their values, and how these lie in memory."""
