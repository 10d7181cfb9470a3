"""The study that this project grew from: convolution beside involution on small images.

``python -m refimpl.keras.study`` trains both classifiers and writes one page about them. It is a
study of the operator and no benchmark of networks. Nothing here is imported by the layer.
"""


class StudyError(Exception):
    """What its reader can mend: shown as a message, without a traceback."""
