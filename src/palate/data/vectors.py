"""Item vectors from elsewhere, as files: of images, of sound, of anything an item has numbers for.

Three ways to write them. Parquet: a column ``item_id`` (or one of its usual names) and one column of lists.
Safetensors: a tensor per item, named by its id, all of one length. NumPy: ``image.npy`` (n, d), with the n ids, one a
line, beside it in ``image.ids.txt``. Items without a vector are fine; vectors of unknown items are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from palate.core import DataError, FloatArray
from palate.data.columns import find_columns
from palate.data.tables import as_vectors


def read_vectors(path: Path, name: str) -> pl.DataFrame:
    """A file of item vectors as ``item_id`` and a column ``name`` of ``Array(Float32, d)``.

    Raises
    ------
    DataError
        The file is missing, of another kind, or holds no vectors of one length.
    """
    if not path.is_file():
        raise DataError(f"vectors of {name}: there is no file {path}. Correct [data] vectors.")
    try:
        match path.suffix:
            case ".parquet":
                return _from_parquet(path, name)
            case ".safetensors":
                ids, vectors = _from_safetensors(path)
            case ".npy":
                ids, vectors = _from_numpy(path)
            case _:
                raise ValueError("known are .parquet, .safetensors and .npy")
        return _frame(ids, vectors, name)
    except (ValueError, OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"vectors of {name}: {path} cannot be used: {error}. Nothing was imported.") from None


def with_vectors(items: pl.DataFrame, blocks: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Items with a column for each block, null where an item has no vector in it."""
    for name, frame in blocks.items():
        items = items.drop(name, strict=False).join(frame, on="item_id", how="left", maintain_order="left")
    return items


def _from_parquet(path: Path, name: str) -> pl.DataFrame:
    frame = pl.read_parquet(path)
    ids = find_columns("items", frame.columns, {}, path.name).names["item_id"]
    found = [vectors for column in frame.columns if (vectors := as_vectors(frame[column])) is not None]
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} columns of vectors, not one")
    return pl.DataFrame([frame[ids].cast(pl.String).alias("item_id"), found[0].alias(name)]).unique(
        "item_id", keep="last", maintain_order=True
    )


def _from_safetensors(path: Path) -> tuple[list[str], FloatArray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as tensors:
            ids = list(tensors.keys())
            rows = [np.asarray(tensors.get_tensor(key), dtype=np.float32).ravel() for key in ids]
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        raise ValueError(f"its vectors have the lengths {sorted(lengths)}, not one")
    return ids, np.stack(rows)


def _from_numpy(path: Path) -> tuple[list[str], FloatArray]:
    names = path.with_suffix(".ids.txt")
    if not names.is_file():
        raise ValueError(f"{names.name} with the ids, one a line, is not beside it")
    vectors = np.load(path, allow_pickle=False)
    ids = names.read_text(encoding="utf-8").splitlines()
    if vectors.ndim != 2 or len(vectors) != len(ids):
        raise ValueError(f"it has the shape {vectors.shape}, and there are {len(ids)} ids")
    return ids, vectors.astype(np.float32)


def _frame(ids: Sequence[str], vectors: FloatArray, name: str) -> pl.DataFrame:
    if vectors.shape[1] < 2:
        raise ValueError("a vector needs two numbers at least")
    whole = np.where(np.isfinite(vectors).all(axis=1, keepdims=True), vectors, 0).astype(np.float32)
    kept = pl.Series(name, whole, dtype=pl.Array(pl.Float32, whole.shape[1]))
    return pl.DataFrame([pl.Series("item_id", list(ids), dtype=pl.String), kept]).unique(
        "item_id", keep="last", maintain_order=True
    )
