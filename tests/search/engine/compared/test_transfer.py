import pytest

from search.config.learners import LearnerConfig
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.engine.compared.transfer import transferred
from trainers.components.losses import Gce
from trainers.components.optim import Adamw
from trainers.components.students import Full, Lora, Probe
from trainers.data.settings import ToyTask
from trainers.method import Method
from trainers.models.settings import ToyModel


def there(config: RunConfig, optim: Adamw, student: Full | Lora | Probe | None = None) -> RunConfig:
    strong = LearnerConfig(model=ToyModel(size="strong"), optim=optim, student=student or Full())
    return config.on(HiddenTask(name="there", task=ToyTask(seed=3), strong=strong))


def test_where_naive_is_the_same_a_method_is_the_same(config: RunConfig) -> None:
    method = Method(loss=Gce(), optim=Adamw(lr=3e-3, epochs=2, stop=0.5))
    assert transferred(method, config, config.on(HiddenTask(name="a", task=ToyTask(seed=3)))) == method


def test_numbers_keep_their_ratio_to_naive_s(config: RunConfig) -> None:
    known = config.strong.optim  # lr 1e-3, 3 epochs, batches of 32
    other = known.model_copy(update={"lr": 2e-4, "epochs": 1.0, "batch_size": 8})
    method = Method(loss=Gce(), optim=known.model_copy(update={"lr": 3e-3, "epochs": 6.0, "stop": 0.5}))
    found = transferred(method, config, there(config, other))
    assert found.optim.lr == pytest.approx(6e-4)
    assert (found.optim.epochs, found.optim.batch_size) == (2.0, 8)
    assert (found.optim.stop, found.loss) == (0.5, Gce())
    assert transferred(config.naive, config, there(config, other)) == there(config, other).naive


def test_numbers_stay_within_their_bounds(config: RunConfig) -> None:
    other = config.strong.optim.model_copy(update={"lr": 0.1, "epochs": 20.0, "batch_size": 1024})
    method = Method(
        optim=config.strong.optim.model_copy(update={"lr": 1e-2, "epochs": 6.0, "batch_size": 64})
    )
    found = transferred(method, config, there(config, other))
    assert (found.optim.lr, found.optim.epochs, found.optim.batch_size) == (0.1, 20, 1024)
    assert Method.model_validate(found.model_dump()) == found


def test_the_student_is_naive_s_there_unless_the_method_has_its_own(config: RunConfig) -> None:
    other = there(config, config.strong.optim, Probe())
    assert transferred(Method(loss=Gce()), config, other).student == Probe()
    assert transferred(Method(student=Lora(rank=4)), config, other).student == Lora(rank=4)
