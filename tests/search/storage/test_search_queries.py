from pathlib import Path

from search.storage.search_queries import count_query


def test_every_query_of_a_split_is_counted(tmp_path: Path) -> None:
    assert [count_query(tmp_path, digest) for digest in ("a", "a", "b", "a")] == [1, 2, 1, 3]
