"""A proof that is cancelled ends within its stages, not only between them."""

from __future__ import annotations

import pytest
from attack_cases import honest, network

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import Cancelled
from lazai_proof_stark import prover, workers


class Counting(CancelToken):
    """Cancelled at the n-th look."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.looks, self._limit = 0, limit

    def raise_if_cancelled(self) -> None:
        self.looks += 1
        if self.looks >= self._limit:
            self.cancel()
        super().raise_if_cancelled()


def test_every_stage_looks_many_times() -> None:
    run = honest(network())
    looks: dict[str, int] = {}
    cancel = Counting(10**9)
    stages: list[str] = []

    def begins(name: str) -> None:
        if stages:
            looks[stages[-1]] = cancel.looks - sum(looks.values())
        stages.append(name)

    proof = prover.prove(run.key, run.statement, run.trace, cancel, progress=begins)
    begins("end")
    assert proof == run.proof
    assert all(looks[name] > 10 for name in ("witness", "commit", "lookups", "products", "open activations"))
    assert looks["open weights"] > 10


@pytest.mark.parametrize("share", range(1, 100, 7))
def test_it_ends_at_the_next_look(share: int) -> None:
    run = honest(network())
    total = Counting(10**9)
    prover.prove(run.key, run.statement, run.trace, total)
    cancel = Counting(total.looks * share // 100)
    with pytest.raises(Cancelled):
        prover.prove(run.key, run.statement, run.trace, cancel)
    assert cancel.looks == total.looks * share // 100
    workers.breathe()
    assert prover.prove(run.key, run.statement, run.trace, CancelToken()) == run.proof


def test_a_check_belongs_to_its_context() -> None:
    def refuse() -> None:
        raise Cancelled("no")

    with workers.cancellable(refuse):
        with pytest.raises(Cancelled):
            workers.split(10, lambda begin, end: None)
        with workers.cancellable(lambda: None):
            workers.breathe()
        with pytest.raises(Cancelled):
            workers.breathe()
    workers.breathe()
