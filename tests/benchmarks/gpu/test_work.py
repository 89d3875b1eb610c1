import pytest

from benchmarks.gpu.work import flops_a_token
from tests.trainers.training.memory.conftest import QWEN3_4B


def test_work_by_hand() -> None:
    # Qwen3-4B, LoRA of rank 32: 3.63e9 frozen weights in linear layers, 66 million of adapters; attention:
    # 6 x 1,024 x 36 layers x 4,096 wide: 4 x 3.63e9 + 6 x 0.066e9 + 0.906e9.
    assert flops_a_token(QWEN3_4B, 3_633_315_840, 66_060_288, 1024) == pytest.approx(15.836e9, rel=1e-3)
