from search.ledger.steered import Course, Steered


def course(*orders: Steered) -> Course:
    found = Course()
    for order in orders:
        found.apply(order)
    return found


def test_the_last_value_of_a_setting_holds() -> None:
    first = Steered(settings={"search.trials": 9, "search.max_hours": 1.5}, config_sha256="a")
    then = Steered(settings={"search.trials": 7}, config_sha256="b")
    found = course(first, then)
    assert found.settings == {"search.trials": 7, "search.max_hours": 1.5}
    assert found.config_sha256 == "b"


def test_the_page_of_a_sweep_ends_its_own_pause_and_a_person_with_the_run_any() -> None:
    paused = [Steered(by="steer", paused=True), Steered(by="wandb", paused=True)]
    assert course(*paused, Steered(by="wandb", paused=False)).paused
    assert not course(*paused, Steered(by="steer", paused=False)).paused
    assert course(*paused, Steered(settings={"search.trials": 9})).paused


def test_resume_and_finish_end_a_pause() -> None:
    for end in (Steered(by="resume", settings={"search.trials": 9}), Steered(finish=True)):
        assert not course(Steered(by="wandb", paused=True), end).paused


def test_more_training_ends_a_call_to_finish() -> None:
    finish = Steered(finish=True)
    assert course(finish).finishing
    assert course(finish, Steered(by="resume", settings={"tracking.kind": "off"})).finishing
    assert not course(finish, Steered(by="resume", settings={"search.trials": 9})).finishing


def test_an_order_is_known_by_its_file() -> None:
    found = course(Steered(order="a"), Steered(order=""))
    assert [found.has_taken(order) for order in ("a", "b", "")] == [True, False, False]


def test_an_order_in_words() -> None:
    order = Steered(
        settings={"search.max_hours": None, "search.trials": 9},
        stop=("one",),
        paused=True,
        finish=True,
        refused=("add: \x1b[31mred",),
    )
    assert list(order.sentences()) == [
        "search.max_hours is now null",
        "search.trials is now 9",
        "branch one is stopped",
        "paused: no trial starts",
        "the search ends, the confirmation begins",
        "refused: add: ?[31mred",
    ]
