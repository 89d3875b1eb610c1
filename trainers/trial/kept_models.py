"""The trained weights of a trial's models, kept in files after it ends."""

from pathlib import Path

from safetensors.torch import load_file, save_file

from trainers.components.staging.stage import Stage
from trainers.components.students import Student
from trainers.files import DRAFT
from trainers.gang import rank
from trainers.training.weights import TrainedWeights, trained_weights
from trainers.trial.workbench import Keep


def keeper(folder: Path) -> Keep:
    """Writes the trained weights of every model that answers into a folder, a file a member.

    In a gang every process calls it, and rank 0 writes.
    """

    def keep(stage: Stage, student: Student) -> None:
        weights = trained_weights(student)
        if rank() == 0:
            folder.mkdir(parents=True, exist_ok=True)
            whole = {name: value.contiguous() for name, value in weights.items()}
            file = _file(folder, stage.member)
            save_file(whole, file.with_suffix(DRAFT))
            file.with_suffix(DRAFT).replace(file)

    return keep


def kept_weights(folder: Path) -> list[TrainedWeights]:
    """The trained weights in a folder, in the order of the members; [] where there are none.

    Raises OSError or safetensors' error for a damaged file.
    """
    count = len(list(folder.glob("member-*.safetensors")))
    return [load_file(_file(folder, member)) for member in range(count)]


def _file(folder: Path, member: int) -> Path:
    return folder / f"member-{member}.safetensors"
