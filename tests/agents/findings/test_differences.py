from agents.findings.differences import differences
from trainers.components.losses import LogConf
from trainers.components.optim import Adamw
from trainers.components.students import Probe
from trainers.method import Method

NAIVE = Method(optim=Adamw(lr=1e-3))


def test_a_method_like_naive_has_no_differences() -> None:
    assert differences(NAIVE, NAIVE) == "the naive baseline"


def test_of_a_component_of_the_same_kind_only_changed_settings_are_named() -> None:
    assert differences(Method(optim=Adamw(lr=0.00213)), NAIVE) == "optim adamw (lr 0.00213)"


def test_a_component_of_another_kind_is_named_with_all_its_settings() -> None:
    method = Method(optim=NAIVE.optim, student=Probe())
    said = differences(method, NAIVE)
    assert said.startswith("student probe")
    assert "optim" not in said
    changed = differences(Method(loss=LogConf(aux=0.25), optim=Adamw(lr=0.1)), NAIVE)
    assert changed == "loss logconf (aux 0.25, warmup 0.1, threshold weak_mean); optim adamw (lr 0.1)"
