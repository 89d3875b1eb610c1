from functools import cache

import pytest
from pydantic import ValidationError

from tests.trainers.training.memory.conftest import QWEN3_4B_CONFIG
from trainers.components.staging.refine import Evolve
from trainers.components.students import Full, Lora, Probe
from trainers.method import Abilities, Method
from trainers.training.memory.activations import ModelShape
from trainers.training.memory.model_size import count_weights
from trainers.training.memory.room import Room, Weights
from trainers.training.settings import EngineConfig


@cache
def weights() -> Weights:
    return count_weights(QWEN3_4B_CONFIG, answers_with_words=True)


def room(gb: float, **more: object) -> Room:
    settings = {
        "gb": gb,
        "shape": ModelShape.of(QWEN3_4B_CONFIG),
        "weights": weights(),
        "length": 1024,
        "half": True,
        "engine": EngineConfig(precision="bf16", gradient_checkpointing=False),
        **more,
    }
    return Room.model_validate(settings)


def test_full_fine_tuning_of_qwen3_4b_does_not_fit_80_gb_and_lora_does() -> None:
    # In bf16 under AdamW: 2 bytes of weights, 12 of optimizer, 4 of summed gradients: 18 x 4.022e9 = 72.4e9.
    # Of 1,024 tokens each of 36 layers keeps, bytes: norms 2 x (4 + 2 + 2) x 2560 = 40,960; attention
    # 2 x 2 x (4096 + 1024) = 20,480 and its norms (4 + 2) x 5120 = 30,720; MLP 4 x 2 x 9728 = 77,824: in all
    # 169,984 x 1024 x 36 = 6.27e9; outside 1024 x 5 x 2 x 2560 = 0.03e9. Sum 78.7e9; context and fragments:
    # 1.1 x 78.7 + 1.07 = 87.6.
    refusal = room(80).refused(Full(), 32)
    assert refusal == (
        "student.full needs about 87.6 GB on a device for a single example of 1024 tokens, but "
        "trial.memory_gb is 80: set student to lora or probe"
    )
    assert room(87.5).refused(Full(), 32) is not None
    assert room(87.8).refused(Full(), 32) is None
    # LoRA: 2 x 4.022e9 + 18 x 0.066e9 + 36 x 1024 x (169,984 - 2 x 2 x 2560 - 2 x 5120) + ... = 14.8e9.
    assert room(80).refused(Lora(rank=32), 32) is None
    assert room(17).refused(Lora(rank=32), 32) is not None
    assert room(18).refused(Lora(rank=32), 32) is None


def test_what_saves_memory_is_counted() -> None:
    assert (
        room(80, engine=EngineConfig(precision="bf16", zero_stage=2), world_size=4).refused(Full(), 32)
        is None
    )
    assert (
        room(80, engine=EngineConfig(precision="bf16", zero_stage=2, offload=True)).refused(Full(), 32)
        is None
    )
    assert room(10, length=128).refused(Probe(), 32) is None
    assert room(9).refused(Probe(), 32) == (
        "student.probe needs about 9.98 GB on a device for a single example of 1024 tokens, but "
        "trial.memory_gb is 9: name a smaller strong model"
    )


def test_a_method_that_does_not_fit_is_refused() -> None:
    here = Abilities(prior=True, intermediates=0, room=room(80))
    said = Method().refused(here)
    assert said is not None
    assert said.startswith("student.full needs about 87.6 GB")
    assert Method(student=Lora()).refused(here) is None
    assert Method().refused(Abilities(prior=True, intermediates=0)) is None


def test_an_evolution_holds_all_weights_on_every_device() -> None:
    # Under ZeRO-3 four members share the weights of a training. An evolution in bf16 needs 2 x 4.022e9, 16
    # bytes for each of 0.066e9 that move, and 2 x 2 x 1024 x (2560 + 9728) for an example: 9.15e9; 11.1 GB.
    split = EngineConfig(precision="bf16", zero_stage=3)
    tight, wide = (room(gb, engine=split, world_size=4) for gb in (11, 11.3))
    lora = Lora(rank=32)
    assert tight.refused(lora, 32) is None
    assert tight.refused(lora, 32, evolves=True) == (
        "student.lora needs about 11.1 GB on a device for a single example of 1024 tokens, but "
        "trial.memory_gb is 11: lower student.lora.rank or set student to probe"
    )
    assert wide.refused(lora, 32, evolves=True) is None
    here = Abilities(prior=True, intermediates=0, room=tight)
    assert Method(student=lora).refused(here) is None
    assert Method(student=lora, refine=Evolve()).refused(here) is not None


def test_an_evolution_after_a_training_alone_needs_no_more_than_it() -> None:
    for student in (Lora(rank=32), Probe()):
        alone = [gb for gb in range(9, 30) if room(gb).refused(student, 32) is None]
        assert [gb for gb in range(9, 30) if room(gb).refused(student, 32, evolves=True) is None] == alone


def test_a_room_chooses_as_its_trainings_do() -> None:
    open_to_choice = EngineConfig(precision="bf16")
    wide = room(149, engine=open_to_choice, on_gpu=True).chosen(Lora(rank=32), 32)
    assert (wide.engine.micro_batch, wide.engine.gradient_checkpointing) == (16, False)
    assert wide.needed(Lora(rank=32), 32) < 149e9 < room(149, engine=open_to_choice).needed(Lora(rank=32), 32)
    tight = room(24, engine=open_to_choice, on_gpu=True)
    assert tight.chosen(Lora(rank=32), 32).engine.gradient_checkpointing
    assert tight.chosen(Probe(), 32) == tight


def test_open_checkpointing_refuses_only_what_does_not_fit_with_it() -> None:
    # 18 x 4.022e9 of weights, gradients and optimizer, a layer of 0.17e9 and the inputs of 36, 0.19e9: 72.8e9
    # instead of 78.7e9; 81.1 with context and fragments.
    full, kept = Full(), EngineConfig(precision="bf16", gradient_checkpointing=False)
    assert room(82, engine=kept).refused(full, 32) is not None
    assert room(82, engine=EngineConfig(precision="bf16")).refused(full, 32) is None


def test_no_room_is_no_room() -> None:
    with pytest.raises(ValidationError, match="gb"):
        room(0)
