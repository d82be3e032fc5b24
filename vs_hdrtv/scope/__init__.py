"""Scopes: what a colourist looks at of a frame and of a file, as numbers, as pictures and as pages."""

from __future__ import annotations

from .sheet import figure

__all__ = ["figure"]
