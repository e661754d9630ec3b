"""A saved thing is a directory: a manifest and plain arrays. Nothing is pickled, nothing is unpickled.

``manifest.json`` names every other file with its SHA-256. A directory is written beside its place and moved there
whole, so a reader never sees half of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from palate.core.errors import ArtefactError
from palate.core.recommender import Arrays

FORMAT_VERSION = 2
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Artefact:
    """What is saved.

    Parameters
    ----------
    kind
        What it is, e.g. ``"engine"``.
    manifest
        JSON values: settings, fingerprint, metrics.
    arrays
        Groups of arrays, a safetensors file each, mapped into memory on load.
    texts
        Files of text (LightGBM's own format, JSON), by file name.
    tables
        Arrow tables (``pyarrow.Table``), by name without ending.
    graphs
        ONNX models as their own bytes, a file each, by name without ending.
    """

    kind: str
    manifest: Mapping[str, Any]
    arrays: Mapping[str, Arrays] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    graphs: Mapping[str, bytes] = field(default_factory=dict)


def write(artefact: Artefact, folder: Path) -> None:
    """Write an artefact as a directory, whole or not at all; an artefact that stood there is replaced.

    Raises
    ------
    ArtefactError
        Something that is no palate artefact stands at that place, or a name is no plain file name.
    """
    from pyarrow import ipc
    from safetensors.numpy import save_file

    for name in (*artefact.arrays, *artefact.texts, *artefact.tables, *artefact.graphs):
        if not name or Path(name).name != name or name == MANIFEST:
            raise ArtefactError(f"{name!r} cannot name a file of an artefact; nothing was written.")

    folder = Path(folder)
    check_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, group in artefact.arrays.items():
            save_file(
                {key: np.asarray(value, order="C") for key, value in group.items()},
                scratch / f"{name}.safetensors",
            )
        for name, text in artefact.texts.items():
            (scratch / name).write_text(text, encoding="utf-8")
        for name, table in artefact.tables.items():
            with ipc.new_file(str(scratch / f"{name}.arrow"), table.schema) as sink:
                sink.write_table(table)
        for name, graph in artefact.graphs.items():
            (scratch / f"{name}.onnx").write_bytes(graph)
        files = {path.name: file_sha256(path) for path in sorted(scratch.iterdir())}
        manifest = {**artefact.manifest, "format": FORMAT_VERSION, "kind": artefact.kind, "files": files}
        (scratch / MANIFEST).write_text(
            json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True), encoding="utf-8"
        )
        _replace(scratch, folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def check_place(folder: Path) -> None:
    """Nothing but an artefact is written over; ask before long work, not after.

    Raises
    ------
    ArtefactError
        Something else stands there.
    """
    if folder.exists() and not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtefactError(f"{folder} exists and is not a palate artefact; nothing was written. Choose another place.")


def read(folder: Path, kind: str) -> Artefact:
    """Read an artefact after checking its format and every file's hash.

    Raises
    ------
    ArtefactError
        The folder is missing, foreign, of another format, incomplete or damaged; the message says which.
    """
    import pyarrow as pa
    from pyarrow import ipc
    from safetensors import safe_open

    folder = Path(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtefactError(
            f"{folder} is not a palate {kind}: it has no {MANIFEST}. Give the folder that palate wrote."
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version, found, files = manifest["format"], manifest["kind"], dict(manifest["files"])
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{path} is damaged: {error}. Save the {kind} again.") from None
    if version != FORMAT_VERSION:
        raise ArtefactError(f"{folder} has format {version}; this palate reads format {FORMAT_VERSION}. Train again.")
    if found != kind:
        raise ArtefactError(f"{folder} holds a {found}, not a {kind}.")
    arrays: dict[str, Arrays] = {}
    texts: dict[str, str] = {}
    tables: dict[str, Any] = {}
    graphs: dict[str, bytes] = {}
    for name, digest in files.items():
        file = folder / name
        if Path(name).name != name or not file.is_file():
            raise ArtefactError(f"{folder}: {name} is missing. Save the {kind} again.")
        if file_sha256(file) != digest:
            raise ArtefactError(f"{file} is damaged: its SHA-256 is not the one in {MANIFEST}. Save the {kind} again.")
        if name.endswith(".safetensors"):
            with safe_open(file, framework="numpy") as tensors:
                keys = tensors.keys()
                arrays[name.removesuffix(".safetensors")] = {key: tensors.get_tensor(key) for key in keys}
        elif name.endswith(".arrow"):
            with pa.memory_map(str(file)) as source:
                tables[name.removesuffix(".arrow")] = ipc.open_file(source).read_all()
        elif name.endswith(".onnx"):
            graphs[name.removesuffix(".onnx")] = file.read_bytes()
        else:
            texts[name] = file.read_text(encoding="utf-8")
    return Artefact(kind, manifest, arrays, texts, tables, graphs)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack_sparse(name: str, matrix: sparse.csr_matrix) -> dict[str, Any]:
    """A sparse matrix as arrays named ``name.data``, ``name.indices``, ``name.indptr``, ``name.shape``."""
    return {
        f"{name}.data": matrix.data,
        f"{name}.indices": matrix.indices,
        f"{name}.indptr": matrix.indptr,
        f"{name}.shape": np.array(matrix.shape, dtype=np.int64),
    }


def unpack_sparse(name: str, arrays: Arrays) -> sparse.csr_matrix:
    """The matrix that ``pack_sparse`` packed under this name."""
    shape = tuple(int(size) for size in arrays[f"{name}.shape"])
    return sparse.csr_matrix((arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"]), shape=shape)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _replace(scratch: Path, folder: Path) -> None:
    """Move a finished directory to its place; what stood there goes only after the new one stands."""
    if not folder.exists():
        scratch.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(old / "old")
    scratch.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
