"""The server's settings: where they come from, and what stops the start."""

from __future__ import annotations

from typing import Any

import pytest

from ochre.errors import InvalidArgumentError
from ochre.server.settings import OPTIONS, ServerSettings, load_settings


def test_a_flag_comes_before_the_environment_and_that_before_the_file() -> None:
    config = {"port": 1, "persist_path": "/file", "sqlitedb": {"a": 1}}
    environment = {"OCHRE_PORT": "2", "CHROMA_ALLOW_RESET": "true", "OCHRE_CORS_ALLOW_ORIGINS": "http://a, http://b"}
    settings = load_settings({"port": 3, "host": None}, environment, config)
    assert (settings.port, settings.path, settings.allow_reset) == (3, "/file", True)
    assert settings.cors_allow_origins == ("http://a", "http://b")
    assert load_settings({}, environment, config).port == 2
    assert load_settings({}, {}, config).port == 1
    assert load_settings({}, {"OCHRE_CACHE": "/x"}) == ServerSettings()


@pytest.mark.parametrize(
    ("flags", "environment", "config", "message"),
    [
        ({}, {"OCHRE_PROT": "1"}, {}, "OCHRE_PROT"),
        ({}, {}, {"prot": 1}, "prot"),
        ({}, {"CHROMA_SERVER_AUTHN_CREDENTIALS": "x"}, {}, "API key"),
        ({}, {"OCHRE_PORT": "many"}, {}, "port is 'many'"),
        ({"port": 70_000}, {}, {}, "port is 70000"),
        ({"workers": 0}, {}, {}, "workers is 0"),
        ({"auth": "maybe"}, {}, {}, "auto, on, off"),
        ({"allow_reset": "perhaps"}, {}, {}, "true or false"),
        ({"tls_cert": "x.pem"}, {}, {}, "go together"),
        ({"tls_cert": "x.pem", "tls_key": "y.pem"}, {}, {}, "no such file"),
        ({"auth": "on", "insecure": True}, {}, {}, "contradict"),
        ({"max_body_bytes": 2**40}, {}, {}, "one body must fit"),
    ],
)
def test_what_is_wrong_stops_the_start(flags: Any, environment: Any, config: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        load_settings(flags, environment, config)


@pytest.mark.parametrize(
    ("flags", "keys_exist", "asks"),
    [
        ({}, True, True),
        ({"auth": "off"}, True, False),
        ({"auth": "on"}, True, True),
        ({"host": "0.0.0.0"}, True, True),
        ({"host": "0.0.0.0"}, False, None),
        ({"host": "example.org"}, False, None),
        ({"host": "0.0.0.0", "auth": "off"}, True, None),
        ({"auth": "on"}, False, None),
    ],
)
def test_a_server_that_others_reach_asks_for_keys_or_refuses_to_start(flags: Any, keys_exist: bool, asks: Any) -> None:
    settings = ServerSettings(**flags)
    if asks is None:
        with pytest.raises(InvalidArgumentError, match=r"keys create|--insecure"):
            settings.asks_for_keys(keys_exist=keys_exist)
    else:
        assert settings.asks_for_keys(keys_exist=keys_exist) is asks


def test_every_setting_says_what_it_means() -> None:
    assert all(option.metadata["meaning"] for option in OPTIONS.values())
