"""The field's public datasets from their original files: MovieLens, Amazon reviews, Foursquare check-ins.

Each is read from a folder where the original files are, packed or unpacked, and downloaded to that folder where they
are not. None may be redistributed; read the publishers' terms.
"""

from __future__ import annotations

import ast
import gzip
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from palate.core import DataError, UsageError
from palate.data.dataset import Dataset
from palate.data.downloads import Say, obtain, original, originals, to_stderr

MOVIELENS: Mapping[str, str | None] = {
    "100k": "0e33842e24a9c977be4e0107933c0723",
    "1m": "c4d9eecfca2ab87c1945afe126590906",
    "10m": "ce571fd55effeba0271552578f2648bd",
    "20m": "cd245b17a1ae2cc31bb14903e1204af3",
    "25m": "6b51fb2759a8657d3bfcbfc42b592ada",
    "latest-small": None,
}
"""Sizes and the publisher's MD5 of each archive."""

_AMAZON = {
    2014: (
        "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/reviews_{}_5.json.gz",
        "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/meta_{}.json.gz",
    ),
    2018: (
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/categoryFilesSmall/{}_5.json.gz",
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/metaFiles2/meta_{}.json.gz",
    ),
    2023: (
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw/review_categories/{}.jsonl.gz",
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw/meta_categories/meta_{}.jsonl.gz",
    ),
}
_FOURSQUARE = "https://www-public.imtbs-tsp.eu/~zhang_da/pub/dataset_tsmc2014.zip"
_ASIN = re.compile(r"""["'](?:parent_)?asin["']:\s*["']([^"']+)["']""")
_GENRES_100K = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]


def movielens(folder: str | Path, size: str = "100k", *, say: Say = to_stderr) -> Dataset:
    """MovieLens ratings and films (Harper & Konstan 2015), with user facts in the 100k and 1m sets.

    Parameters
    ----------
    folder
        Where the original files or the archive are, or are downloaded to.
    size
        One of ``MOVIELENS``.

    Raises
    ------
    UsageError
        There is no such size.
    DataError
        The files are not there and cannot be downloaded, or are not what they should be.
    """
    if size not in MOVIELENS:
        raise UsageError(f"MovieLens {size!r}: there are {', '.join(MOVIELENS)}")
    archive = f"ml-{size}.zip"
    url = f"https://files.grouplens.org/datasets/movielens/{archive}"
    names = {
        "100k": ("u.data", "u.item", "u.user"),
        "1m": ("ratings.dat", "movies.dat", "users.dat"),
        "10m": ("ratings.dat", "movies.dat"),
    }.get(size, ("ratings.csv", "movies.csv"))
    files = originals(Path(folder), names, archive, url, md5=MOVIELENS[size], say=say)
    separator = {"u.data": "\t", "u.item": "|", "u.user": "|"}
    parts = ["user_id", "item_id", "value", "timestamp"]
    events = _delimited(names[0], files[names[0]], parts, separator.get(names[0], "::"))
    items = users = None
    if names[1] in files:
        film = ["item_id", "title", "category"]
        columns = ["item_id", "title", "released", "video", "imdb", *_GENRES_100K] if size == "100k" else film
        items = _delimited(names[1], files[names[1]], columns, separator.get(names[1], "::"))
        items = _with_genres(items) if size == "100k" else items
    if len(names) > 2 and names[2] in files:
        person = ("age", "gender", "occupation") if size == "100k" else ("gender", "age", "occupation")
        users = _delimited(names[2], files[names[2]], ["user_id", *person, "zip"], separator.get(names[2], "::"))
    return Dataset.from_frames(events, items, users, name=f"ml-{size}")


def amazon(
    folder: str | Path, category: str = "Beauty", year: int = 2014, *, reviews: bool = False, say: Say = to_stderr
) -> Dataset:
    """Amazon reviews of a category with titles, brands, categories and prices.

    Parameters
    ----------
    folder
        Where the two original files are, or are downloaded to.
    category
        The publisher's name, e.g. ``"Beauty"`` (2014), ``"All_Beauty"`` (2018, 2023).
    year
        2014 (McAuley et al. 2015, 5-core), 2018 (Ni et al. 2019, 5-core) or 2023 (Hou et al. 2024, all reviews).
    reviews
        Keep the review texts.

    Raises
    ------
    UsageError
        There is no such year, or the category is no name.
    DataError
        The files are not there and cannot be downloaded, or are not what they should be.
    """
    if year not in _AMAZON:
        raise UsageError(f"Amazon {year}: there are {', '.join(map(str, _AMAZON))}")
    if not re.fullmatch(r"\w+", category):
        raise UsageError(f"Amazon category {category!r}: names are like Beauty or Cell_Phones_and_Accessories")
    lines: list[list[str]] = []
    for address in _AMAZON[year]:
        url = address.format(category)
        name = url.rsplit("/", 1)[-1]
        content = original(Path(folder), name.removesuffix(".gz"))
        if content is None:
            content = _unpacked(obtain(url, Path(folder) / name, say=say))
        lines.append(content.decode("utf-8", "replace").splitlines())
    names = {"user_id": "reviewerID", "item_id": "asin", "timestamp": "unixReviewTime", "value": "overall"}
    if year == 2023:
        names = {"user_id": "user_id", "item_id": "parent_asin", "timestamp": "timestamp", "value": "rating"}
    if reviews:
        names["text"] = "text" if year == 2023 else "reviewText"
    rows = [_record(line) for line in lines[0] if line.strip()]
    events = [{canonical: row.get(found) for canonical, found in names.items()} for row in rows]
    wanted = {event["item_id"] for event in events}
    items = [_amazon_item(_record(line)) for line in lines[1] if _mentions(line, wanted)]
    return Dataset.from_frames(events, items or None, name=f"amazon-{year}-{category}")


def foursquare(folder: str | Path, city: str = "NYC", *, say: Say = to_stderr) -> Dataset:
    """Foursquare check-ins of New York or Tokyo, April 2012 to February 2013 (Yang et al. 2015, TSMC2014).

    Times are UTC; the original's minutes east of Greenwich are not kept. A venue's category is its title too, since
    the files name no venues.

    Parameters
    ----------
    folder
        Where the original files or the archive are, or are downloaded to.
    city
        ``"NYC"`` or ``"TKY"``.

    Raises
    ------
    UsageError
        There is no such city.
    DataError
        The files are not there and cannot be downloaded, or are not what they should be.
    """
    if city not in ("NYC", "TKY"):
        raise UsageError(f"Foursquare {city!r}: there are NYC and TKY")
    name = f"dataset_TSMC2014_{city}.txt"
    content = originals(Path(folder), (name,), "dataset_tsmc2014.zip", _FOURSQUARE, say=say)[name]
    columns = ["user_id", "item_id", "category_id", "category", "lat", "lon", "offset", "timestamp"]
    visits = _delimited(name, content, columns, "\t")
    items = visits.select("item_id", pl.col("category").alias("title"), "category", "lat", "lon").unique("item_id")
    return Dataset.from_frames(visits.select("user_id", "item_id", "timestamp"), items, name=f"foursquare-{city}")


def _delimited(name: str, content: bytes, columns: Sequence[str], separator: str) -> pl.DataFrame:
    """Rows of an original file as text; a first row that names columns is left out."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if text.startswith(("userId,", "movieId,")):
        text, separator = text.split("\n", 1)[-1], ","
    quote = '"' if separator == "," else None
    if len(separator) > 1:
        text, separator = text.replace(separator, "\x1f"), "\x1f"
    schema = dict.fromkeys(columns, pl.String)
    try:
        return pl.read_csv(
            io.BytesIO(text.encode()),
            separator=separator,
            quote_char=quote,
            has_header=False,
            schema=schema,
            truncate_ragged_lines=True,
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{name} is not the original file: {str(error).splitlines()[0]}") from None


def _with_genres(items: pl.DataFrame) -> pl.DataFrame:
    """The 19 flags of a film as one category column."""
    flags = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in _GENRES_100K[1:]]
    category = pl.concat_str(flags, separator="|", ignore_nulls=True).alias("category")
    return items.select("item_id", "title", category, "released")


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}); delete it and try again.") from None


def _mentions(line: str, wanted: set[Any]) -> bool:
    """Whether a line describes an item that has reviews; parsing the others would take most of the time."""
    return any(asin in wanted for asin in _ASIN.findall(line))


def _record(line: str) -> dict[str, Any]:
    """An object in JSON, or as a Python literal, which is how the metadata of 2014 is written."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            record = ast.literal_eval(line)
        except (ValueError, SyntaxError):
            record = None
    if not isinstance(record, dict):
        raise DataError(f"not the original file of Amazon reviews: {line[:80]!r} is no record")
    return record


def _amazon_item(record: Mapping[str, Any]) -> dict[str, Any]:
    path = record.get("categories") or record.get("category") or []
    path = path[0] if path and isinstance(path[0], list) else path
    description = record.get("description") or ""
    return {
        "item_id": record.get("parent_asin") or record.get("asin"),
        "title": record.get("title"),
        "description": " ".join(description) if isinstance(description, list) else description,
        "brand": record.get("brand") or record.get("store"),
        "category": " > ".join(map(str, path)) or record.get("main_category"),
        "price": record.get("price"),
    }
