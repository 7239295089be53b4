"""How far the labels of one set of faces are from those of another, and whether chance alone would bring them as far apart."""
