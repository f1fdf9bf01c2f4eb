"""Size of the objects that a pickle would build, counted without running it.

Objects can hold one another twice: forty instructions then build a tuple of a trillion, which
the unpickler walks when it is the key of a dictionary, and a million of them a tuple so deep
that walking it ends the process.
"""

import io
import pickletools
from dataclasses import dataclass

__all__ = ["MOST_TENSORS", "check_program"]

MOST_TENSORS = 30_000  # of network, averages and optimiser; those of the field have a tenth

_PUT = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_GET = ("GET", "BINGET", "LONG_BINGET")
# These change the lowest object that they take; the others make a new one.
_CHANGE = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
_TENSOR = ("PERSID", "BINPERSID")  # its storage lies outside the pickle
_DEEPEST = 1000
_REPEATS = 100  # what is shared is written out at most so often on average
_FEW = 1_000_000


@dataclass
class _Object:
    """An object with all that it holds written out."""

    size: int = 0
    depth: int = 0


def check_program(program: bytes) -> None:
    """Walk a pickle and refuse what would take absurd amounts of memory or time.

    Raises:
        ValueError: It builds too much, too deep, or is no whole pickle.
    """
    most = _FEW + _REPEATS * len(program)
    stack: list[_Object] = []
    marks: list[int] = []
    memo: dict[int, _Object] = {}
    tensors = 0
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(program)):
            if opcode.name in _PUT:
                slot = len(memo) if opcode.name == "MEMOIZE" else int(str(argument))
                # The unpickler allocates as many slots as the largest index says.
                if slot > len(program):
                    raise ValueError("it asks for absurdly many memo slots")
                memo[slot] = stack[-1]
            elif opcode.name in _GET:
                stack.append(memo[int(str(argument))])
            elif opcode.name == "DUP":
                stack.append(stack[-1])
            elif opcode.name == "MARK":
                marks.append(len(stack))
            else:
                tensors += opcode.name in _TENSOR
                if tensors > MOST_TENSORS:
                    raise ValueError(f"it builds more than {MOST_TENSORS} tensors")
                _apply(opcode, stack, marks)
                if stack and (stack[-1].size > most or stack[-1].depth > _DEEPEST):
                    raise ValueError("it builds an absurdly large or deep object")
    except (IndexError, KeyError) as error:
        raise ValueError("its program is damaged") from error


def _apply(opcode: pickletools.OpcodeInfo, stack: list[_Object], marks: list[int]) -> None:
    """Pop an instruction's operands from the stack and push its result."""
    before = opcode.stack_before
    if pickletools.markobject in before:
        start = marks.pop() - before.index(pickletools.markobject)
    else:
        start = len(stack) - len(before)
    if start < 0:
        raise IndexError
    taken = stack[start:]
    del stack[start:]
    if not opcode.stack_after:
        return
    whole = taken.pop(0) if opcode.name in _CHANGE else _Object()
    whole.size += 1 + sum(part.size for part in taken)
    whole.depth = max([whole.depth, *(1 + part.depth for part in taken)])
    stack.append(whole)
