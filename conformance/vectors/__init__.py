"""Vectors: a recorded conversation, for those who cannot run a process (docs/vectors.md).

``python -m conformance vectors DIR`` writes a folder of requests with what is due;
``python -m conformance vectors DIR --check ANSWERS`` judges a folder of answers.
"""
