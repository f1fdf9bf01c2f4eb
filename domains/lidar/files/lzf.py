"""Decompression of LZF (Lehmann, http://oldhome.schmorp.de/marc/liblzf.html), used by PCD."""

__all__ = ["decompress"]


def decompress(data: bytes, size: int) -> bytes:
    """Return the ``size`` bytes that ``data`` stands for.

    A control byte c below 32 precedes c + 1 literal bytes. Others begin a copy from what is
    already there: c's upper three bits are the length less 2 (7: a byte to add follows), its
    lower five and the next byte the distance less 1.

    Raises:
        ValueError: The data are damaged, or stand for another number of bytes.
    """
    output = bytearray()
    place = 0
    try:
        while place < len(data) and len(output) <= size:
            control = data[place]
            place += 1
            if control < 32:
                output += data[place : place + control + 1]
                place += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += data[place]
                place += 1
            _copy(output, ((control & 31) << 8 | data[place]) + 1, length + 2)
            place += 1
    except IndexError:
        raise ValueError("its compressed data end within a copy") from None
    if len(output) != size or place != len(data):
        raise ValueError(f"its compressed data don't stand for {size} bytes")
    return bytes(output)


def _copy(output: bytearray, distance: int, length: int) -> None:
    """Append ``length`` bytes from ``distance`` back; what is being appended may be meant too."""
    if distance > len(output):
        raise ValueError("its compressed data copy from before their beginning")
    start = len(output) - distance
    pattern = output[start : start + length]
    output += (pattern * (length // len(pattern) + 1))[:length]
