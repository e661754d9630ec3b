"""The field's public datasets are read from files in their original formats, fetched whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from palate.core import DataError, UsageError
from palate.data.benchmarks import amazon, foursquare, movielens
from palate.data.downloads import obtain, originals

FLAGS = "|".join("1" if place in (3, 4, 5) else "0" for place in range(19))
ML_100K = {
    "u.data": "196\t242\t3\t881250949\n186\t242\t4\t891717742\n",
    "u.item": f"242|Kolya (1996)|24-Jan-1997||http://imdb|{FLAGS}\n243|Café, Le|||x|{FLAGS}\n",
    "u.user": "196|49|M|writer|55105\n186|39|F|executive|00000\n",
}
ML_1M = {
    "ratings.dat": "1::1193::5::978300760\n1::661::3::978302109\n",
    "movies.dat": "1193::One Flew (1975)::Drama\n661::L'Été: a \"film\" (1996)::Animation|Children's\n",
    "users.dat": "1::F::1::10::48067\n",
}
ML_CSV = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.5,964982703\n1,11,4.0,964981247\n",
    "movies.csv": 'movieId,title,genres\n1,Toy Story (1995),Adventure\n11,"American President, The (1995)",Drama\n',
}


def packed(files: dict[str, str], top: str, encoding: str = "latin-1") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{top}/{name}", text.encode(encoding))
    return buffer.getvalue()


def quiet(_: str) -> None:
    """Nobody reads along."""


@pytest.mark.parametrize("unpacked", [False, True])
def test_movielens_100k_is_read_packed_or_not(tmp_path: Path, unpacked: bool) -> None:
    content = packed(ML_100K, "ml-100k")
    if unpacked:
        zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)
    else:
        (tmp_path / "ml-100k.zip").write_bytes(content)
    dataset = movielens(tmp_path, "100k", say=quiet)
    assert (dataset.n_users, dataset.n_items, dataset.n_events) == (2, 2, 2)
    film = dataset.catalogue.properties(dataset.item_ids.position("243"))
    assert (film["title"], film["category"]) == ("Café, Le", "Animation|Children's|Comedy")
    assert dataset.users is not None
    assert dataset.users.sort("age")["zip"].to_list() == ["00000", "55105"]
    assert dataset.events["value"].sort().to_list() == [3.0, 4.0]
    assert dataset.has_times


def test_movielens_1m_is_read(tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip").write_bytes(packed(ML_1M, "ml-1m"))
    dataset = movielens(tmp_path, "1m", say=quiet)
    assert dataset.item_ids.externals(dataset.sequences.row(0).tolist()) == ["1193", "661"]
    assert 'L\'Été: a "film" (1996)' in dataset.catalogue.titles


def test_movielens_csv_is_read(tmp_path: Path) -> None:
    (tmp_path / "ml-latest-small.zip").write_bytes(packed(ML_CSV, "ml-latest-small", "utf-8"))
    dataset = movielens(tmp_path, "latest-small", say=quiet)
    assert dataset.item_ids.externals(dataset.sequences.row(0).tolist()) == ["11", "1"]
    assert "American President, The (1995)" in dataset.catalogue.titles


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


def test_amazon_2014_is_read_with_its_python_metadata(tmp_path: Path) -> None:
    review = {"reviewerID": "A1", "asin": "B01", "overall": 5.0, "unixReviewTime": 1369699200, "reviewText": "good"}
    meta = {
        "asin": "B01",
        "title": "It's nail polish",
        "price": 9.5,
        "categories": [["Beauty", "Makeup"]],
        "brand": "O",
    }
    other = {"asin": "B99", "title": "never reviewed"}
    write_lines(tmp_path / "reviews_Beauty_5.json.gz", [json.dumps(review)])
    write_lines(tmp_path / "meta_Beauty.json.gz", [repr(meta), repr(other)])
    dataset = amazon(tmp_path, "Beauty", 2014, reviews=True, say=quiet)
    facts = dataset.catalogue.properties(0)
    assert dataset.n_items == 1
    assert facts["title"] == "It's nail polish"
    assert (facts["category"], facts["brand"], facts["price"]) == ("Beauty > Makeup", "O", 9.5)
    assert dataset.events.row(0, named=True)["text"] == "good"
    assert dataset.whole_days


@pytest.mark.parametrize("year", [2018, 2023])
def test_later_amazon_sets_are_read(tmp_path: Path, year: int) -> None:
    review: dict[str, Any]
    meta: dict[str, Any]
    if year == 2018:
        review = {"reviewerID": "A1", "asin": "B01", "overall": 4.0, "unixReviewTime": 1369699200}
        meta = {
            "asin": "B01",
            "title": "Soap",
            "price": "$12.99",
            "category": ["Beauty", "Soap"],
            "description": ["x", "y"],
        }
        names = ("Soap_5.json.gz", "meta_Soap.json.gz")
    else:
        review = {"user_id": "A1", "parent_asin": "B01", "asin": "B02", "rating": 4.0, "timestamp": 1369699200123}
        meta = {"parent_asin": "B01", "title": "Soap", "price": 12.99, "categories": ["Beauty", "Soap"], "store": "S"}
        names = ("Soap.jsonl.gz", "meta_Soap.jsonl.gz")
    write_lines(tmp_path / names[0], [json.dumps(review), ""])
    write_lines(tmp_path / names[1], [json.dumps(meta)])
    dataset = amazon(tmp_path, "Soap", year, say=quiet)
    assert dataset.item_ids.names == ("B01",)
    assert dataset.events["time"][0] == pytest.approx(1369699200, abs=1)
    assert dataset.catalogue.prices[0] == pytest.approx(12.99)
    assert dataset.catalogue.strings("category") == ["Beauty > Soap"]
    assert "text" not in dataset.events.columns


def test_foursquare_is_read(tmp_path: Path) -> None:
    lines = [
        "470\t49bb\t4bf5\tArts & Crafts Store\t40.7198\t-74.0025\t-240\tTue Apr 03 18:00:09 +0000 2012",
        "470\t4a43\t4bf5\tCafé\t40.6068\t-74.0441\t-240\tTue Apr 03 18:00:25 +0000 2012",
    ]
    (tmp_path / "dataset_TSMC2014_NYC.txt").write_bytes("\n".join(lines).encode("latin-1"))
    dataset = foursquare(tmp_path, "NYC", say=quiet)
    assert dataset.item_ids.externals(dataset.sequences.row(0).tolist()) == ["49bb", "4a43"]
    assert dataset.events["time"].to_list() == [1333476009.0, 1333476025.0]
    place = dataset.catalogue.properties(dataset.item_ids.position("4a43"))
    assert (place["title"], place["category"], place["lat"]) == ("Café", "Café", 40.6068)


def test_names_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are 100k, 1m"):
        movielens(tmp_path, "2m")
    with pytest.raises(UsageError, match="there are 2014"):
        amazon(tmp_path, "Beauty", 1999)
    with pytest.raises(UsageError, match="names are like"):
        amazon(tmp_path, "../../etc/passwd")
    with pytest.raises(UsageError, match="NYC and TKY"):
        foursquare(tmp_path, "PAR")


def test_files_of_another_make_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip").write_bytes(b"not a zip")
    with pytest.raises(DataError, match="damaged archive"):
        movielens(tmp_path, "1m", say=quiet)
    (tmp_path / "reviews_Beauty_5.json.gz").write_bytes(b"not a gzip")
    with pytest.raises(DataError, match="damaged gzip"):
        amazon(tmp_path, "Beauty", say=quiet)


CONTENT = b"0123456789" * 1_000


class Publisher(BaseHTTPRequestHandler):
    """A server that answers, breaks off or refuses."""

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) * (2 if self.path == "/short" else 1)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Keep the tests' output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    thread = Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_a_download_is_kept_whole_and_fetched_once(tmp_path: Path, server: str) -> None:
    heard: list[str] = []
    target = tmp_path / "deep" / "file.bin"
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    for _ in range(2):
        assert obtain(f"{server}/file", target, md5, heard.append).read_bytes() == CONTENT
    assert heard == ["downloading file.bin (10,000 bytes)"]
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize(
    ("path", "md5", "message"),
    [
        ("/short", None, "10,000 of 20000 bytes came; nothing was kept"),
        ("/file", "0" * 32, "MD5 is not the publisher's"),
        ("/missing", None, "cannot be downloaded .*put it at"),
    ],
)
def test_a_download_that_fails_leaves_nothing(
    tmp_path: Path, server: str, path: str, md5: str | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        obtain(server + path, tmp_path / "file.bin", md5, quiet)
    assert not list(tmp_path.iterdir())


def test_without_a_network_the_error_says_where_to_put_the_file(tmp_path: Path, server: str) -> None:
    port = int(server.rsplit(":", 1)[1])
    with pytest.raises(DataError, match=r"Without a network, fetch it elsewhere and put it at .*x\.zip"):
        originals(tmp_path, ("x.dat",), "x.zip", f"http://127.0.0.1:{port}/missing", say=quiet)
    with pytest.raises(DataError, match="not an https address"):
        obtain("http://example.org/x.zip", tmp_path / "x.zip", say=quiet)
    with pytest.raises(DataError, match="not an https address"):
        obtain("file:///etc/passwd", tmp_path / "x.zip", say=quiet)
