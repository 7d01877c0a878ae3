"""The author kit's suites over this plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lazai_api_openai import plugin
from lazai_api_openai.checks import check_service
from lazai_api_openai.options import ApiOptions
from lazai_core.api.entries import ServiceEntry
from lazai_core.api.service import Severity
from lazai_core.testing.conformance import PluginHygiene, ServiceConformance


class TestService(ServiceConformance):
    @pytest.fixture
    def entry(self) -> ServiceEntry:
        (entry,) = plugin.lazai_services()
        return entry

    @pytest.fixture
    def options(self, entry: ServiceEntry) -> ApiOptions:
        return ApiOptions(listen="127.0.0.1:0")


class TestHygiene(PluginHygiene):
    @pytest.fixture
    def module(self) -> str:
        return "lazai_api_openai.plugin"


def check(**options: Any) -> list[tuple[Severity, str]]:
    table = {"listen": "127.0.0.1:0"} | options
    config = {"service": [{"use": "other"}, {"use": "openai", "options": table}]}
    return [(finding.severity, finding.summary) for finding in check_service(config)]


def test_doctor_is_content_with_the_defaults() -> None:
    assert check() == [(Severity.OK, "the API can listen on 127.0.0.1:0")]
    assert check_service({}) == []


def test_doctor_warns_where_strangers_spend_the_operators_money() -> None:
    ((_, _), (severity, summary)) = check(listen="0.0.0.0:0", unsigned="operator-pays")

    assert severity is Severity.WARNING
    assert "0.0.0.0:0" in summary
    assert len(check(unsigned="operator-pays")) == 1


def test_doctor_finds_a_taken_address(node: Any) -> None:
    ((severity, summary),) = check(listen=f"127.0.0.1:{node.service.bound_port}")

    assert severity is Severity.WARNING
    assert "cannot be bound" in summary


@pytest.mark.parametrize("options", [{"listen": "x"}, {"listn": "127.0.0.1:1"}, {"requests_max": "many"}])
def test_doctor_names_wrong_options(options: dict[str, Any]) -> None:
    ((severity, _),) = check(**options)

    assert severity is Severity.FAILURE


def test_doctor_looks_at_the_key_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("alice " + "ab" * 32, encoding="utf-8")
    path.chmod(0o644)
    assert check(api_keys_file=str(path))[1][0] is Severity.FAILURE
    path.chmod(0o600)
    assert check(api_keys_file=str(path), cors_origins=["*"])[1][0] is Severity.OK
