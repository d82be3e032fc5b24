"""Stand-in: no options."""

from types import SimpleNamespace

args = SimpleNamespace(disable_metadata=False)
