"""The server's settings: where they come from, which one wins, and what stops the start."""

from __future__ import annotations

from typing import Any

import pytest

from ochre.errors import InvalidArgumentError
from ochre.server.settings import OPTIONS, ServerSettings, load_settings

CHROMA_FILE = {
    "port": 8001,
    "listen_address": "::1",
    "persist_path": "/data",
    "max_payload_size_bytes": 41_943_040,
    "cors_allow_origins": ["*"],
    "allow_reset": True,
    "sqlitedb": {"hash_type": "md5", "migration_mode": "apply"},
    "sysdb": {"sqlite": {"log_topic_namespace": "default", "log_tenant": "default"}},
    "open_telemetry": {"service_name": "search", "endpoint": "", "filters": [{"crate_name": "x"}]},
}


def test_a_flag_comes_before_the_environment_and_that_before_the_file() -> None:
    flags, environment, config = {"port": 3, "host": None}, {"OCHRE_PORT": "2"}, {"port": 1}
    assert load_settings(flags, environment, config).port == 3
    assert load_settings({}, environment, config).port == 2
    assert load_settings({}, {}, config).port == 1
    assert load_settings({}, {}, None) == ServerSettings()


def test_chromas_configuration_file_is_understood() -> None:
    assert load_settings({}, {}, CHROMA_FILE) == ServerSettings(
        port=8001,
        host="::1",
        path="/data",
        max_body_bytes=41_943_040,
        cors_allow_origins=("*",),
        allow_reset=True,
        otel_service_name="search",
    )


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("CHROMA_ALLOW_RESET", "true", "allow_reset", True),
        ("ALLOW_RESET", "1", "allow_reset", True),
        ("CHROMA_PORT", "8001", "port", 8001),
        ("CHROMA_PERSIST_PATH", "/data", "path", "/data"),
        ("PERSIST_DIRECTORY", "/data", "path", "/data"),
        ("CHROMA_LISTEN_ADDRESS", "::1", "host", "::1"),
        ("CHROMA_CORS_ALLOW_ORIGINS", '["https://a.example"]', "cors_allow_origins", ("https://a.example",)),
        ("CHROMA_OPEN_TELEMETRY__SERVICE_NAME", "search", "otel_service_name", "search"),
    ],
)
def test_chromas_variables_are_understood(variable: str, text: str, name: str, value: Any) -> None:
    assert getattr(load_settings({}, {variable: text}), name) == value


@pytest.mark.parametrize("name", OPTIONS)
def test_every_setting_says_what_it_means(name: str) -> None:
    assert OPTIONS[name].metadata["meaning"]


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("Yes", True), ("on", True), ("off", False), ("0", False)]
)
def test_a_switch_is_set_by_the_usual_words(text: str, value: bool) -> None:
    assert load_settings({}, {"OCHRE_METRICS": text}).metrics is value


def test_a_list_is_separated_by_commas() -> None:
    settings = load_settings({"cors_allow_origins": "https://a.example, https://b.example"}, {})
    assert settings.cors_allow_origins == ("https://a.example", "https://b.example")


def test_a_null_in_the_file_is_the_default() -> None:
    assert load_settings({}, {}, {"tls_cert": None, "port": None}) == ServerSettings()


@pytest.mark.parametrize("variable", ["OCHRE_MODEL_PATH", "OCHRE_CACHE"])
def test_variables_of_the_embedding_function_are_left_alone(variable: str) -> None:
    assert load_settings({}, {variable: "/x"}) == ServerSettings()


@pytest.mark.parametrize(
    ("flags", "environment", "config", "message"),
    [
        ({}, {"OCHRE_PROT": "1"}, {}, "the environment variable OCHRE_PROT is unknown"),
        ({}, {"OCHRE_TLS_CERT": ""}, {}, "OCHRE_TLS_CERT is empty"),
        ({}, {}, {"prot": 1}, "unknown key 'prot'"),
        ({}, {}, {"open_telemetry": {"colour": 1}}, r"unknown key 'open_telemetry\.colour'"),
        ({}, {}, {"open_telemetry": {"endpoint": "http://collector:4317"}}, "4318/v1/traces"),
        ({}, {"CHROMA_SERVER_AUTHN_PROVIDER": "x"}, {}, "ochre keys create"),
        ({}, {"CHROMA_SERVER_AUTHN_CREDENTIALS": "x"}, {}, "ochre keys create"),
        ({}, {"CHROMA_SERVER_AUTH_CREDENTIALS": "x"}, {}, "ochre keys create"),
        ({}, {"CHROMA_AUTH_TOKEN_TRANSPORT_HEADER": "x"}, {}, "ochre keys create"),
        ({}, {"OCHRE_PORT": "many"}, {}, "port is 'many': expected a number"),
        ({"port": 70_000}, {}, {}, "port is 70000"),
        ({"port": -1}, {}, {}, "port is -1: expected 0 or more"),
        ({"workers": 0}, {}, {}, "workers is 0: expected 1 or more"),
        ({"busy_timeout": "nan"}, {}, {}, "busy_timeout is nan"),
        ({"keep_alive": "inf"}, {}, {}, "keep_alive is inf"),
        ({"auth": "maybe"}, {}, {}, "auth is 'maybe': expected one of auto, on, off"),
        ({"allow_reset": "perhaps"}, {}, {}, "expected true or false"),
        ({"tls_cert": "x.pem"}, {}, {}, "go together"),
        ({"tls_key": "x.pem"}, {}, {}, "go together"),
        ({"tls_cert": "x.pem", "tls_key": "y.pem"}, {}, {}, "tls_cert is 'x.pem': there is no such file"),
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
        ({}, False, False),
        ({}, True, True),
        ({"host": "::1"}, False, False),
        ({"host": "localhost"}, False, False),
        ({"host": "127.9.9.9"}, False, False),
        ({"auth": "off"}, True, False),
        ({"auth": "on"}, True, True),
        ({"host": "0.0.0.0"}, True, True),
        ({"host": "0.0.0.0", "insecure": True}, False, False),
        ({"host": "0.0.0.0", "insecure": True}, True, True),
        ({"host": "0.0.0.0", "auth": "off", "insecure": True}, True, False),
    ],
)
def test_a_server_asks_for_keys_where_there_are_any(flags: Any, keys_exist: bool, asks: bool) -> None:
    assert ServerSettings(**flags).asks_for_keys(keys_exist=keys_exist) is asks


@pytest.mark.parametrize(
    ("flags", "keys_exist"),
    [
        ({"host": "0.0.0.0"}, False),
        ({"host": "::"}, False),
        ({"host": "example.org"}, False),
        ({"host": "0.0.0.0", "auth": "off"}, True),
        ({"auth": "on"}, False),
    ],
)
def test_a_server_that_others_reach_does_not_start_open(flags: Any, keys_exist: bool) -> None:
    with pytest.raises(InvalidArgumentError, match=r"keys create|--insecure"):
        ServerSettings(**flags).asks_for_keys(keys_exist=keys_exist)


@pytest.mark.parametrize(
    "origin",
    [
        *("a.example", "https://a.example/", "https://A.example", "https://*.a.example", "https://a.example:443"),
        *("http://a.example:80", "http://localhost:*", "http://ann@a.example", "https://a.example?x", ""),
    ],
)
def test_an_origin_that_no_browser_sends_stops_the_start(origin: str) -> None:
    with pytest.raises(InvalidArgumentError, match="cors_allow_origins has .*expected origins as browsers send them"):
        ServerSettings(cors_allow_origins=(origin,))


@pytest.mark.parametrize("origin", ["*", "null", "http://localhost:3000", "http://[::1]:8080", "app://obsidian.md"])
def test_origins_that_browsers_send_are_taken(origin: str) -> None:
    assert ServerSettings(cors_allow_origins=(origin,)).cors_allow_origins == (origin,)
