import pytest

from search.config.database import checked, filled, without


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://${ANTHROPIC_API_KEY}@host/db",
        "postgresql://me:${PGPASSWORD}@host/db",
        "postgresql://$ANTHROPIC_API_KEY@host/db",
        "sqlite:///$HOME/studies.db",
        "postgresql://me@host/db?application_name=${WANDB_API_KEY}",
    ],
)
def test_a_variable_of_another_name_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="only variables that begin with OPTUNA_"):
        checked(url)


@pytest.mark.parametrize("url", ["studies.db", "postgresql://host:port/db", "postgresql://me:hunter2@h:x/db"])
def test_what_is_no_url_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^storage must be a database's URL") as caught:
        checked(url)
    assert url not in str(caught.value)


def test_a_variable_may_hold_any_character() -> None:
    environment = {"OPTUNA_PASSWORD": "p/@:?#%41&", "OPTUNA_HOST": "db.example"}
    url = "postgresql+psycopg://me:${OPTUNA_PASSWORD}@${OPTUNA_HOST}:5432/db?sslpassword=${OPTUNA_PASSWORD}"
    parts, secrets = filled(url, environment)
    assert (parts.username, parts.host, parts.port, parts.database) == ("me", "db.example", 5432, "db")
    assert parts.password == "p/@:?#%41&"
    assert parts.query == {"sslpassword": "p/@:?#%41&"}
    assert set(secrets) == set(environment.values())


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(ValueError, match=r"optuna\.storage: the environment has no OPTUNA_PW; set it"):
        filled("postgresql://me:${OPTUNA_PW}@host/db", {"OPTUNA_PW": ""})


def test_a_secret_is_cut_out_of_a_text() -> None:
    assert without("login of hunter2 failed: hunter", ["hunter", "hunter2"]) == "login of *** failed: ***"
