"""The plugin's line in `lazai doctor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lazai_core.api.errors import BackendUnavailable
from lazai_core.api.service import HealthFinding, Severity

from .options import TorchOptions


def check_device(config: Mapping[str, object]) -> Sequence[HealthFinding]:
    """Open the configured device, where this backend is the chosen one, and say which products are exact on it."""
    section = config.get("coprocessor")
    chosen = section if isinstance(section, Mapping) else {}
    if chosen.get("use") != "torch":
        return ()
    options = chosen.get("options")
    name = str(options.get("device", "auto")) if isinstance(options, Mapping) else "auto"
    try:
        from .devices import open_device, usable_cores

        device = open_device(TorchOptions(device=name))
    except (BackendUnavailable, ImportError) as cause:
        return (HealthFinding(severity=Severity.FAILURE, summary=f"torch: {cause}", fix='set device = "cpu"'),)
    findings = [HealthFinding(severity=Severity.OK, summary=f"torch runs on {device.description}")]
    if not device.int8_product:
        findings.append(
            HealthFinding(
                severity=Severity.WARNING,
                summary="the int8 product is not exact here, wider and slower ones are used",
                fix="use a processor with VNNI or a CUDA device",
            )
        )
    threads = int(str(options.get("threads", 0))) if isinstance(options, Mapping) else 0
    if threads > usable_cores():
        findings.append(
            HealthFinding(
                severity=Severity.WARNING,
                summary=f"{threads} threads asked for, {usable_cores()} cores usable: much slower than fewer threads",
                fix="set threads = 0 in [coprocessor.options]",
            )
        )
    return tuple(findings)
