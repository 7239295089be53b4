"""What decoders raise over damaged data."""

import struct
import zlib

DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""To be caught around a call of a decoder and around nothing else: from our own code a TypeError is a fault of ours. Want
of memory is not among them, since it says nothing about the photo."""
