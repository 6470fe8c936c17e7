"""Shapes of log lines, learned line by line: what stays the same is kept, what differs becomes ``<*>``.

A fixed-depth tree in the manner of Drain: lines with the same number of words and the same first word are compared word by word.
Before that, words with digits in them are taken for variables, so that most lines are found with one look into a table.

Source: He, Zhu, Zheng, Lyu: Drain: An Online Log Parsing Approach with Fixed Depth Tree. ICWS 2017, section III.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field

VARIABLE = "<*>"
TEXT_MAX = 400
WORDS_MAX = 60
FIRST_WORDS_MAX = 100
# Begins where a word does and never looks at a character twice: this is the time that a line takes.
_WITH_DIGIT = re.compile(r"(?<![^\s=:,;|/\[\](){}<>\"'])[^\s=:,;|/\[\](){}<>\"'\d]*+\d[^\s=,;|/\[\](){}<>\"']*+")
_REPEATED = re.compile(r"<\*>(?:[,:.\-/ ]<\*>)+")


def mask(text: str) -> str:
    """The first line of a text, 400 characters at most, with ``<*>`` in place of words with digits, and of lists of them."""
    first = text[:TEXT_MAX].partition("\n")[0]
    masked = _WITH_DIGIT.sub(VARIABLE, first)
    return _REPEATED.sub(VARIABLE, masked) if masked.count(VARIABLE) > 1 else masked


@dataclass(slots=True)
class Cluster:
    """Lines of one shape. ``number`` is its place in the order of making; ``lines`` how many there were."""

    number: int
    words: list[str]
    lines: int = 0
    group: tuple[int, str] = (0, "")
    merged_into: Cluster | None = None

    @property
    def text(self) -> str:
        """The template."""
        return " ".join(self.words)


@dataclass(slots=True)
class TemplateTree:
    """Learns the shapes of one program's lines. Deterministic: the same lines in the same order give the same clusters.

    ``similarity``: share of words, in [0, 1], that a line must have in common with a cluster to belong to it. Clusters that differ in one
    word only stay apart (``cache hit``, ``cache miss``) until there are ``siblings_max`` of them: then the word is a variable.
    At most ``clusters_max`` clusters are kept, and ``cache_max`` masked lines; those that were not seen for longest are forgotten first.
    """

    similarity: float = 0.72
    siblings_max: int = 6
    clusters_max: int = 1_000
    cache_max: int = 20_000
    made: int = 0
    _clusters: OrderedDict[int, Cluster] = field(default_factory=OrderedDict)
    _groups: dict[tuple[int, str], list[Cluster]] = field(default_factory=dict)
    _first_words: dict[int, set[str]] = field(default_factory=dict)
    _cache: OrderedDict[str, Cluster] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._clusters)

    @property
    def clusters(self) -> list[Cluster]:
        """All, those seen last at the end."""
        return list(self._clusters.values())

    def learn(self, text: str) -> tuple[Cluster, bool]:
        """The cluster of a line, and whether it is new or its words have changed."""
        masked = mask(text)
        cluster = self._cache.get(masked)
        if cluster is not None:
            while cluster.merged_into is not None:
                cluster = self._cache[masked] = cluster.merged_into
            cluster.lines += 1
            return cluster, False
        words = masked.split()[:WORDS_MAX] or [""]
        cluster, changed = self._place(words)
        cluster.lines += 1
        self._cache[masked] = cluster
        if len(self._cache) > self.cache_max:
            self._cache.popitem(last=False)
        return cluster, changed

    def seed(self, text: str) -> Cluster:
        """A cluster that was learned before; for the same text always the same one."""
        words = text.split()[:WORDS_MAX] or [""]
        group = self._group_of(words)
        for each in self._groups.get(group, ()):
            if each.words == words:
                return each
        return self._make(words, group)

    def _place(self, words: list[str]) -> tuple[Cluster, bool]:
        group = self._group_of(words)
        best, share = None, -1.0
        for cluster in self._groups.get(group, ()):
            alike = _likeness(cluster.words, words)
            if alike > share:
                best, share = cluster, alike
        if best is None or share < self.similarity:
            return self._merge_siblings(self._make(words, group)), True
        self._clusters.move_to_end(best.number)
        merged = [kept if kept == word else VARIABLE for kept, word in zip(best.words, words, strict=True)]
        changed = merged != best.words
        best.words = merged
        return best, changed

    def _merge_siblings(self, new: Cluster) -> Cluster:
        """The new cluster, or the oldest of those that differ from it in the same one word, when there are many."""
        by_place: dict[int, list[Cluster]] = {}
        for each in self._groups.get(new.group, ()):
            places = [index for index, (a, b) in enumerate(zip(each.words, new.words, strict=True)) if a != b]
            if len(places) == 1:
                by_place.setdefault(places[0], []).append(each)
        place, siblings = max(by_place.items(), key=lambda item: len(item[1]), default=(0, []))
        if len(siblings) + 1 < self.siblings_max:
            return new
        kept = siblings[0]
        kept.words = [*kept.words[:place], VARIABLE, *kept.words[place + 1 :]]
        self._clusters.move_to_end(kept.number)
        for each in [*siblings[1:], new]:
            each.merged_into = kept
            kept.lines += each.lines
            del self._clusters[each.number]
            self._groups[each.group].remove(each)
        return kept

    def _group_of(self, words: list[str]) -> tuple[int, str]:
        """Lines are compared within a group only. A first word that varies too much would make a group for each of its values."""
        first = words[0]
        if VARIABLE in first:
            return len(words), VARIABLE
        known = self._first_words.setdefault(len(words), set())
        if first not in known:
            if len(known) >= FIRST_WORDS_MAX:
                return len(words), VARIABLE
            known.add(first)
        return len(words), first

    def _make(self, words: list[str], group: tuple[int, str]) -> Cluster:
        cluster = Cluster(self.made, words, group=group)
        self.made += 1
        self._clusters[cluster.number] = cluster
        self._groups.setdefault(group, []).append(cluster)
        if len(self._clusters) > self.clusters_max:
            self._forget(next(iter(self._clusters.values())))
        return cluster

    def _forget(self, cluster: Cluster) -> None:
        del self._clusters[cluster.number]
        group = self._groups[cluster.group]
        group.remove(cluster)
        if not group:
            del self._groups[cluster.group]
            self._first_words.get(cluster.group[0], set()).discard(cluster.group[1])
        for masked in [text for text, each in self._cache.items() if each is cluster]:
            del self._cache[masked]


def _likeness(kept: list[str], words: list[str]) -> float:
    """Share of words that agree. Those that are variables already count for half: a template of nothing else would take every line."""
    if len(kept) == 1:
        return 1.0 if kept == words else 0.0
    same = sum(2 if a == b and a != VARIABLE else a == VARIABLE for a, b in zip(kept, words, strict=True))
    return same / (2 * len(kept))
