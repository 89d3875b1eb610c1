import json

from agents.language.naming import kind_name, method_values, named_values, param_name
from trainers.components.losses import LogConf
from trainers.method import SLOTS, Method


def test_names_are_dotted() -> None:
    assert kind_name("loss") == "loss.kind"
    assert param_name("loss", "logconf", "aux") == "loss.logconf.aux"


def test_every_value_of_a_method_has_its_name() -> None:
    values = method_values(Method(loss=LogConf(aux=0.25)))
    assert values["loss.kind"] == "logconf"
    assert values["loss.logconf.aux"] == 0.25
    assert values["optim.adamw.batch_size"] == 32
    assert [name for name in values if name.endswith(".kind")] == [kind_name(slot) for slot in SLOTS]


def test_what_a_method_remembers_of_itself_is_no_parameter() -> None:
    method = Method()
    before = method_values(method)
    assert method.digest
    assert method_values(method) == before


def test_a_method_read_as_json_has_the_same_values() -> None:
    method = Method(loss=LogConf(aux=0.25))
    read = json.loads(method.model_dump_json())
    assert named_values((slot, fields.items()) for slot, fields in read.items()) == method_values(method)
