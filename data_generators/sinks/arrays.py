"""Arrow arrays of text and bytes, which the encoders join column by column, not row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_generators.tables.rows import Coded

Array = npt.NDArray[Any]


def fixed(matrix: npt.NDArray[np.uint8]) -> Any:
    """The rows of an n x w matrix of bytes as a binary array, without copying them."""
    rows, width = matrix.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    data = np.ascontiguousarray(matrix)
    return pa.Array.from_buffers(
        pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def byte_rows(column: Array) -> npt.NDArray[np.uint8]:
    """A fixed-width column (``S`` or any plain number) as an n x w matrix of its bytes."""
    data = np.ascontiguousarray(column)
    return data.view(np.uint8).reshape(len(data), data.dtype.itemsize)


def padded(column: Array) -> Any:
    """A column of ``S`` as a binary array, without the NULs that numpy pads values with."""
    matrix = byte_rows(column)
    lengths = np.char.str_len(column) if matrix.size else np.zeros(len(column), dtype=np.int64)
    if (lengths == matrix.shape[1]).all():
        return fixed(matrix)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    data = matrix[np.arange(matrix.shape[1]) < lengths[:, None]]
    return pa.Array.from_buffers(
        pa.binary(), len(column), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def texts(values: Sequence[Any]) -> Any | None:
    """A string array (None is null) if there are only strings and None, else None."""
    if not isinstance(next((v for v in values if v is not None), ""), str):
        return None
    try:
        array = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None  # of mixed types
    if pa.types.is_null(array.type):
        return array.cast(pa.string())
    return array if pa.types.is_string(array.type) else None


def pooled(column: Coded, pool: Sequence[Any], null: Any, type_: Any) -> Any:
    """``pool[code]`` for each row, ``null`` for code -1; ``pool`` holds encoded values."""
    codes = np.where(column.codes < 0, len(pool), column.codes)
    return pa.array([*pool, null], type=type_).take(pa.array(codes))


def replaced(array: Any, at: Sequence[int], values: Sequence[Any]) -> Any:
    """The array with other values at these positions, which rise."""
    if not at:
        return array
    mask = np.zeros(len(array), dtype=bool)
    mask[list(at)] = True
    return pc.replace_with_mask(array, pa.array(mask), pa.array(values, type=array.type))


def joined(parts: Sequence[Any], separator: Any) -> Any:
    """The parts of each row put together; none of them has a null."""
    return pc.binary_join_element_wise(*parts, separator)


def data(array: Any) -> memoryview:
    """All bytes of a freshly joined text or binary array, in order."""
    if len(array) == 0:
        return memoryview(b"")
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int32)
    first, last = offsets[array.offset], offsets[array.offset + len(array)]
    return memoryview(array.buffers()[2])[first:last]
