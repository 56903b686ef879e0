"""Merkle trees as RFC 9162 hashes them: growing one, and proving what is in it; pure, for the log and for auditors.

The tree of n leaves splits at the largest power of two below n, so every aligned run of 2^level leaves is a subtree
that never changes again once it is full. A tree is known by its frontier: the roots of the full subtrees, largest
first, whose sizes are the binary digits of n.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Subtree = Callable[[int, int], bytes]
"""(level, number) → root of the full subtree of the leaves number·2^level … (number+1)·2^level − 1."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf; its prefix keeps a leaf from being taken for a node."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


@dataclass(frozen=True)
class Node:
    """The root of a full subtree, as `Subtree` names it."""

    level: int
    number: int
    hash: bytes


class Frontier:
    """The right edge of a tree: all that it takes to append a leaf in O(log n) and to know the root."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(hashes) != size.bit_count() or any(len(one) != HASH_BYTES for one in hashes):
            raise ValueError("a frontier has one hash for each binary one of its size")
        self.size = size
        self.hashes = list(hashes)

    def append(self, hash: bytes, level: int = 0) -> list[Node]:
        """Append a leaf, or a full subtree of 2^level; returns the larger subtrees that it filled, small to large."""
        if self.size & (1 << level) - 1:
            raise ValueError("a subtree begins at a multiple of its size")
        filled: list[Node] = []
        node = Node(level, self.size >> level, hash)
        while node.number & 1:
            node = Node(node.level + 1, node.number >> 1, node_hash(self.hashes.pop(), node.hash))
            filled.append(node)
        self.hashes.append(node.hash)
        self.size += 1 << level
        return filled

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append many leaves."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """The root of the tree so far."""
        return _join(self.hashes) if self.hashes else EMPTY_ROOT

    def copy(self) -> Frontier:
        """The same edge, to grow apart."""
        return Frontier(self.size, self.hashes)


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def inclusion_proof(subtree: Subtree, index: int, size: int) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root of the tree of `size` leaves, lowest first."""
    if not 0 <= index < size:
        raise ValueError("there is no such leaf")
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            proof.append(range_hash(subtree, middle, end))
            end = middle
        else:
            proof.append(range_hash(subtree, begin, middle))
            begin = middle
    return proof[::-1]


def consistency_proof(subtree: Subtree, old: int, new: int) -> list[bytes]:
    """The hashes that show the tree of `old` leaves to be the beginning of the tree of `new` ones (RFC 9162, 2.1.4)."""
    if not 0 < old <= new:
        raise ValueError("only a tree that has leaves begins another one")
    proof: list[bytes] = []
    begin, end = 0, new
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            proof.append(range_hash(subtree, middle, end))
            end = middle
        else:
            proof.append(range_hash(subtree, begin, middle))
            begin = middle
    if begin:
        proof.append(range_hash(subtree, begin, end))
    return proof[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes) -> bool:
    """Whether `leaf` is leaf `index` of the tree of `size` leaves with that root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            current = node_hash(sibling, current)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and hmac.compare_digest(current, expected_root)


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `old` leaves with `old_root` begins the tree of `new` leaves (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and hmac.compare_digest(old_root, new_root)
    hashes = list(proof)
    if old & old - 1 == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    seen_old = seen_new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            seen_old, seen_new = node_hash(sibling, seen_old), node_hash(sibling, seen_new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            seen_new = node_hash(seen_new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and hmac.compare_digest(seen_old, old_root) and hmac.compare_digest(seen_new, new_root)


def range_hash(subtree: Subtree, begin: int, end: int) -> bytes:
    """The hash over the leaves `begin`…`end` − 1, a range at which some tree splits: aligned at its beginning."""
    return _join([subtree(level, number) for level, number in aligned(begin, end)])


def aligned(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The fewest full subtrees, as (level, number), that cover the leaves `begin`…`end` − 1 from left to right."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        if begin:
            level = min(level, (begin & -begin).bit_length() - 1)
        yield level, begin >> level
        begin += 1 << level


def hashes_in(row: bytes) -> list[bytes]:
    """Hashes that were stored in a row."""
    return [row[at : at + HASH_BYTES] for at in range(0, len(row), HASH_BYTES)]


def _join(hashes: Sequence[bytes]) -> bytes:
    current = hashes[-1]
    for left in reversed(hashes[:-1]):
        current = node_hash(left, current)
    return current


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
