"""How fast it is; nothing here says whether it is right beyond refusing to time what is wrong.

``pytest benchmarks --benchmark-only``. See docs/benchmarks.md. Never shipped in the wheel.
"""
