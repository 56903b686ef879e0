"""The tree: what RFC 9162 says it is, whatever its size, and no proof that is off by a bit."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.ledger import merkle
from prodsprints.ledger.merkle import Frontier, leaf_hash, node_hash

LEAVES = [leaf_hash(bytes([number % 251, number // 251])) for number in range(600)]


@cache
def by_definition(begin: int, end: int) -> bytes:
    """RFC 9162, section 2.1.1, word for word."""
    size = end - begin
    if size == 0:
        return merkle.EMPTY_ROOT
    if size == 1:
        return LEAVES[begin]
    split = 1
    while split * 2 < size:
        split *= 2
    return node_hash(by_definition(begin, begin + split), by_definition(begin + split, end))


def subtree(level: int, number: int) -> bytes:
    return by_definition(number << level, number + 1 << level)


@pytest.mark.parametrize("size", range(0, 68))
def test_every_leaf_of_every_small_tree_is_proven_and_every_beginning(size: int) -> None:
    root = merkle.root(LEAVES[:size])
    assert root == by_definition(0, size)
    for index in range(size):
        proof = merkle.inclusion_proof(subtree, index, size)
        assert merkle.verify_inclusion(LEAVES[index], index, size, proof, root)
    for old in range(1, size + 1):
        proof = merkle.consistency_proof(subtree, old, size)
        assert merkle.verify_consistency(old, size, by_definition(0, old), root, proof)


@given(size=st.integers(1, 600), data=st.data())
def test_a_tree_grows_to_the_same_root_by_leaves_and_by_full_subtrees(size: int, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, size))
    frontier = Frontier()
    frontier.extend(LEAVES[:begin])
    for level, number in merkle.aligned(begin, size):
        frontier.append(subtree(level, number), level)
    assert (frontier.size, frontier.root()) == (size, by_definition(0, size))


@given(size=st.integers(2, 600), data=st.data())
def test_a_proof_with_any_bit_flipped_or_any_hash_more_or_less_is_refused(size: int, data: st.DataObject) -> None:
    root = by_definition(0, size)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size - 1))
    included = merkle.inclusion_proof(subtree, index, size)
    continued = merkle.consistency_proof(subtree, old, size)
    for proof, holds in (
        (included, lambda proof: merkle.verify_inclusion(LEAVES[index], index, size, proof, root)),
        (continued, lambda proof: merkle.verify_consistency(old, size, by_definition(0, old), root, proof)),
    ):
        assert holds(proof)
        at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
        flipped = bytearray(proof[at])
        flipped[bit // 8] ^= 1 << bit % 8
        assert not holds([*proof[:at], bytes(flipped), *proof[at + 1 :]])
        assert not holds(proof[:at] + proof[at + 1 :])
        assert not holds([*proof, proof[at]])


@given(size=st.integers(1, 300), data=st.data())
def test_a_proof_holds_for_its_own_leaf_place_size_and_root_only(size: int, data: st.DataObject) -> None:
    root, index = by_definition(0, size), data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(subtree, index, size)
    other = data.draw(st.integers(-2, size + 2).filter(lambda number: number != index))
    assert not merkle.verify_inclusion(LEAVES[index], other, size, proof, root)
    assert not merkle.verify_inclusion(LEAVES[index + 1], index, size, proof, root)
    assert not merkle.verify_inclusion(LEAVES[index], index, size, proof, by_definition(0, size + 1))


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (-1, 5)])
def test_no_tree_continues_an_empty_or_a_larger_one(old: int, new: int) -> None:
    assert not merkle.verify_consistency(old, new, merkle.EMPTY_ROOT, by_definition(0, new), [])


def test_a_leaf_cannot_pass_for_a_node() -> None:
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])


def test_a_frontier_that_does_not_fit_its_size_is_refused() -> None:
    with pytest.raises(ValueError, match="one hash for each"):
        Frontier(5, LEAVES[:1])
    with pytest.raises(ValueError, match="multiple of its size"):
        Frontier(1, LEAVES[:1]).append(LEAVES[1], 3)
