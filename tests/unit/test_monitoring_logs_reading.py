"""Lines read, joined, clustered, and errors told apart: what programs really write, in four languages."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.domain.monitoring_logs import LogLevel, LogLine, LogOrigin, LogQuery, read_terms, unix_us
from productops.domain.monitoring_logs_chunk import cut, pack, unpack, wanted_words
from productops.domain.monitoring_logs_errors import LineJoiner, read_error
from productops.domain.monitoring_logs_parse import parse
from productops.domain.release import Environment
from productops.errors import InvalidInputError
from productops.redaction import redact, redact_line
from productops.stats.log_templates import TemplateTree, mask

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
NOW_US = unix_us(NOW)
ORIGIN = LogOrigin("apollo", "shop", Environment.PRODUCTION, "1.1.0", "i-1")

PYTHON = """2026-11-21 09:59:58,120 ERROR shop: request failed
Traceback (most recent call last):
  File "/srv/shop-1.0/app.py", line {line}, in handle
    return total(basket)
  File "/srv/shop-1.0/basket.py", line {other}, in total
    return sum(prices[item] for item in basket)
KeyError: 'sku-{sku}'"""
NODE = """TypeError: Cannot read properties of undefined (reading 'price')
    at total (/srv/shop/basket.js:{line}:17)
    at async Server.handle (/srv/shop/server.js:88:9)
    at node:internal/process/task_queues:95:5"""
JAVA = """10:00:00.123 [http-{n}] ERROR c.s.Basket - failed
java.lang.RuntimeException: cannot price
\tat com.shop.Basket.total(Basket.java:{line})
\tat com.shop.Server.handle(Server.java:12)
Caused by: java.lang.NullPointerException: sku {n}
\tat com.shop.Prices.of(Prices.java:{line})
\tat com.shop.Basket.total(Basket.java:40)
\t... 12 more"""
GO = """panic: runtime error: index out of range [{n}] with length 3

goroutine {n} [running]:
main.total(0xc00001{n}, 0x3)
\t/srv/shop/basket.go:{line} +0x1d
main.handle({{0x7f, 0xc000}}, 0xc0000)
\t/srv/shop/main.go:30 +0x45
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3086 +0x5cb"""


def joined(text: str) -> list[str]:
    joiner = LineJoiner()
    records = [joiner.feed(line) for line in text.split("\n")]
    return [record for record in [*records, joiner.flush()] if record]


@pytest.mark.parametrize(
    ("trace", "language", "kind", "frames"),
    [
        (PYTHON, "python", "KeyError", ("app.py:handle", "basket.py:total")),
        (NODE, "node", "TypeError", ("server.js:Server.handle", "basket.js:total")),
        (JAVA, "java", "java.lang.NullPointerException", ("com.shop.Basket.total", "com.shop.Prices.of")),
        (GO, "go", "runtime error", ("main.handle", "main.total")),
    ],
)
def test_a_trace_is_one_record_and_a_moved_line_or_another_value_is_the_same_error(trace, language, kind, frames):
    first, second = trace.format(line=10, other=20, sku=1, n=7), trace.format(line=99, other=98, sku=2, n=8)
    assert joined(f"{first}\n2026-11-21 10:00:01 INFO next")[0] == first
    one, two = read_error(first), read_error(second)
    assert (one.language, one.type, one.frames) == (language, kind, frames)
    assert one.fingerprint == two.fingerprint


def test_the_same_error_raised_elsewhere_is_another_error():
    here = PYTHON.format(line=1, other=2, sku=1)
    assert read_error(here).fingerprint != read_error(here.replace("in total", "in discount")).fingerprint
    assert read_error(here).fingerprint != read_error(here.replace("KeyError", "ValueError")).fingerprint


def test_a_chain_of_python_errors_is_one_record_named_by_the_last_one():
    text = (
        "Traceback (most recent call last):\n  File \"/a/db.py\", line 1, in connect\n    raise OSError\nOSError: gone\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "Traceback (most recent call last):\n  File \"/a/app.py\", line 5, in handle\n    raise Unready from error\n"
        "shop.errors.UnreadyError: try later"
    )  # fmt: skip
    assert joined(text + "\nnext line") == [text, "next line"]
    assert (read_error(text).type, read_error(text).frames) == ("shop.errors.UnreadyError", ("app.py:handle",))


def test_lines_that_do_not_belong_together_stay_apart():
    lines = ["GET / 200", "user error: none", "GET /a 200", "Exception was handled", "GET /b 200"]
    assert joined("\n".join(lines)) == lines


def test_a_record_ends_however_many_lines_follow_it():
    records = joined("ERROR it broke\n" + "\n".join("  more" for _ in range(1_000)))
    assert max(record.count("\n") for record in records) < 200


@pytest.mark.parametrize(
    ("raw", "level", "at", "text"),
    [
        ("2026-11-21T09:59:58.250Z WARN slow", "WARNING", "09:59:58.250000", "2026-11-21T09:59:58.250Z WARN slow"),
        ("[2026-11-21 10:59:58,5+01:00] [error] no", "ERROR", "09:59:58.500000", None),
        ('level=info ts=2026-11-21T09:00:00Z msg="all well"', "INFO", "09:00:00", None),
        ('{"level":"error","msg":"refused","time":"2026-11-21T09:00:00Z","order":7}', "ERROR", "09:00:00", "refused order=7"),
        ('{"level":50,"msg":"pino","time":1795251600000}', "ERROR", "09:00:00", "pino"),
        ('10.0.0.1 - - "GET /pay HTTP/1.1" 502 17', "ERROR", "10:00:00", None),
        ('10.0.0.1 - - "GET /pay HTTP/1.1" 200 17', "INFO", "10:00:00", None),
        ("plain words", "INFO", "10:00:00", "plain words"),
        ("2031-11-21T09:59:58Z INFO a clock that is years ahead", "INFO", "10:00:00", None),
        ('{"broken json', "INFO", "10:00:00", '{"broken json'),
    ],
)
def test_time_and_level_are_found_where_programs_write_them(raw, level, at, text):
    found = parse(raw, received_us=NOW_US)
    assert found.level.name == level
    assert datetime.fromtimestamp(found.at_us / 1e6, UTC).time().isoformat() == at
    assert text is None or found.text == text


def test_a_trace_id_is_found_in_text_and_json():
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert parse(f"INFO trace_id={trace} paid", received_us=NOW_US).trace_id == trace
    assert parse(f'{{"msg":"paid","traceId":"{trace.upper()}"}}', received_us=NOW_US).trace_id == trace


@given(st.text(max_size=300))
def test_whatever_a_program_writes_is_a_line(raw):
    found = parse(raw, received_us=NOW_US)
    assert abs(found.at_us - NOW_US) <= 7 * 86_400 * 1_000_000
    mask(raw)
    read_error(f"x\n{raw}")


def lines_of(shapes: list[str], count: int, seed: int) -> list[tuple[str, int]]:
    """Lines of known shapes: numbers, ids, addresses, paths and names filled in at random."""
    rng = random.Random(seed)
    fill = {
        "N": lambda: str(rng.randrange(10**6)), "ID": lambda: f"{rng.randrange(2**64):016x}", "F": lambda: f"{rng.random() * 99:.2f}",
        "IP": lambda: ".".join(str(rng.randrange(256)) for _ in range(4)), "NAME": lambda: "".join(rng.choices("abdeiklmnost", k=4)),
    }  # fmt: skip
    found = []
    for _ in range(count):
        number = rng.randrange(len(shapes))
        words = [fill[w[1:-1]]() if w.startswith("{") and w.endswith("}") else w for w in shapes[number].split(" ")]
        found.append((" ".join(words), number))
    return found


SHAPES = [
    "order {N} paid by {NAME} in {F} ms", "order {N} cancelled by {NAME}", "connection from {IP} closed after {F} s",
    "connection from {IP} refused", "cache miss for key {ID}", "cache hit for key {ID}", "retry {N} of {N} for job {ID}",
    "user {NAME} logged in from {IP}", "user {NAME} logged out", "payment {ID} refused by bank: insufficient funds",
    "payment {ID} refused by bank: card expired", "starting worker {N}", "stopping worker {N}", "flushed {N} rows to disk in {F} ms",
    "health check ok", "health check failed: timeout after {F} ms", "GET {N} took {F} ms", "queue {NAME} has {N} messages",
]  # fmt: skip


def test_lines_of_one_shape_come_together_and_others_stay_apart():
    tree = TemplateTree()
    placed = [(tree.learn(line)[0].number, shape) for line, shape in lines_of(SHAPES, 4_000, seed=1)]
    by_cluster: dict[int, set[int]] = {}
    by_shape: dict[int, set[int]] = {}
    for cluster, shape in placed:
        by_cluster.setdefault(cluster, set()).add(shape)
        by_shape.setdefault(shape, set()).add(cluster)
    right = sum(len(by_cluster[cluster]) == 1 and len(by_shape[shape]) == 1 for cluster, shape in placed)
    assert right / len(placed) >= 0.85  # grouping accuracy: shapes that are exactly one cluster
    assert len(tree) <= 2 * len(SHAPES)


def test_the_same_lines_give_the_same_clusters_and_what_was_learned_is_found_again():
    lines = [line for line, _ in lines_of(SHAPES, 500, seed=2)]
    one, two = TemplateTree(), TemplateTree()
    assert [one.learn(line)[0].text for line in lines] == [two.learn(line)[0].text for line in lines]
    again = TemplateTree()
    for cluster in one.clusters:
        again.seed(cluster.text)
    assert not any(again.learn(line)[1] for line in lines)


def test_memory_is_bounded_whatever_comes():
    tree = TemplateTree(clusters_max=50, cache_max=100)
    rng = random.Random(3)
    for _ in range(3_000):
        tree.learn(" ".join("".join(rng.choices("abcdefgh", k=6)) for _ in range(rng.randrange(1, 9))))
    assert len(tree) <= 50
    assert len(tree._cache) <= 100


def test_packed_lines_come_back_as_they_were_and_are_found_by_their_words():
    lines = [
        LogLine(
            ORIGIN, NOW_US + n, LogLevel.ERROR if n == 3 else LogLevel.INFO, f"order {n} päid — “ok”", "0af7651916cd43dd8448eb211c80319c"
        )
        for n in range(7)
    ]
    chunk = pack(lines)
    assert unpack("apollo", chunk.body) == lines
    query = LogQuery(service="shop", version="1.1.0", level=LogLevel.ERROR, terms=read_terms('"3 päi" -nothing'))
    whole, beginnings = wanted_words(query)
    assert set(whole) <= set(chunk.words)
    assert all(any(word.startswith(each) for word in chunk.words) for each in beginnings)
    assert [query.takes(line) for line in lines] == [False] * 3 + [True] + [False] * 3
    other = wanted_words(LogQuery(service="shop", level=LogLevel.FATAL))[0]
    assert not set(other) <= set(chunk.words)


def test_lines_are_cut_into_parts_that_lose_none():
    lines = [LogLine(ORIGIN, NOW_US, LogLevel.INFO, "x" * (n % 3_000)) for n in range(2_000)]
    assert [line for part in cut(lines) for line in lines[part]] == lines


def test_a_search_finds_beginnings_of_words_but_no_ends():
    line = LogLine(ORIGIN, NOW_US, LogLevel.INFO, "Timeout while connecting to bank-7")
    assert LogQuery(terms=read_terms("time BANK")).takes(line)
    assert not LogQuery(terms=read_terms("out")).takes(line)
    assert not LogQuery(terms=read_terms("timeout -connecting")).takes(line)
    with pytest.raises(InvalidInputError, match="at most 12"):
        read_terms("a " * 13)


@given(st.text(max_size=200))
def test_the_quick_look_for_secrets_hides_what_the_thorough_one_hides(text):
    assert redact_line(text) == redact(text)
    secret = f"{text} password=hunter22x {text}"
    assert "hunter22x" not in redact_line(secret)
