import pytest

from medvid.redaction import is_secret, redact, redact_command, split_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:s3cret@host:5000/x is gone", "http://***@host:5000/x is gone"),
        ("postgresql+psycopg2://u:p%40ss@db/x", "postgresql+psycopg2://***@db/x"),
        ("https://u:p@ss@host/x", "https://***@host/x"),
        ("api_key: one two  # mine", "api_key: ***"),
        ('{"password": "a, b", "lr": 1}', '{"password": ***, "lr": 1}'),
        ("{hf_token: abc, lr: 1}", "{hf_token: ***, lr: 1}"),
        ("tracking.tags.token=abc", "tracking.tags.token=***"),
        ("pushed with ghp_abcdefghijklmnopqrstuvwx", "pushed with ***"),
        ("AKIAABCDEFGHIJKLMNOP", "***"),
    ],
)
def test_secrets_are_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "class_token: true",
        "num_tokens: 196",
        "pooling: token",
        "seed: 0",
        "sqlite:////data/mlflow.db",
        "a@b.org",
        "secrets:\n",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_the_home_folder_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/jane")
    assert redact("root: /home/jane/data/btcv") == "root: ~/data/btcv"
    monkeypatch.setenv("HOME", "/")
    assert redact("root: /data/btcv") == "root: /data/btcv"


def test_names_of_secrets() -> None:
    assert is_secret("tracking.tags.api_key")
    assert is_secret("--token")
    assert not is_secret("backbone.num_tokens")


def test_command_lines() -> None:
    command = ["platform", "run", "a b.yaml", "--token", "canary", "--password=canary", "--set", "x.secret=canary"]
    assert redact_command(command) == "platform run 'a b.yaml' --token '***' '--password=***' --set 'x.secret=***'"


def test_credentials_are_decoded() -> None:
    assert split_credentials("http://u:p%21%40@host:1/x") == ("http://host:1/x", ("u", "p!@"))
    assert split_credentials("sqlite:////a/b.db") == ("sqlite:////a/b.db", None)
