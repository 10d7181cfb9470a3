"""The judge: decides whether an implementation of involution does what the specification says.

``pytest conformance`` judges the TensorFlow operator and layer of this project,
``pytest conformance --implementation=package.module:attribute`` anybody's. See docs/conformance.md.
"""
