"""torch, imported when it is first used.

Settings stand beside the code that they configure, and are parsed where nothing is computed: on a
login node, for ``--help``, for a wrong key. Importing torch takes seconds there for nothing, so
such files say ``from domains.lazy import torch``.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["torch"]

if TYPE_CHECKING:
    import torch
else:

    class _Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            return getattr(import_module(self.__name__), name)

    torch = _Lazy("torch")
