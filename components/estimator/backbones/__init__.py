"""Backbones: from scaled pixels to features, one file a family."""
