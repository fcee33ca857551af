"""The files of deploy/ name only what exists: commands, their options, settings, figures."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from crm.management.commands.settings_reference import SOURCE, read_variables
from tests.ops.installation import ROOT

DEPLOY = ROOT / "deploy"
SETTINGS = set(read_variables(SOURCE.read_text()))
OTHERS = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}  # of the database's own image


def documents(path: Path) -> list[dict]:
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def kubernetes() -> list[dict]:
    names = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())["resources"]
    return [found for name in names for found in documents(DEPLOY / "kubernetes" / name)]


def containers() -> list[dict]:
    pods = [found["spec"]["template"]["spec"] for found in kubernetes() if found["kind"] in ("Deployment", "Job")]
    return [container for pod in pods for container in pod["containers"]]


def command_lines() -> list[list[str]]:
    """Every `tarishi …` of every way to run it."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    lines = [service["command"] for service in services if service["image"] == "tarishi"]
    lines += [container["args"] for container in containers()]
    for line in (DEPLOY / "Procfile").read_text().splitlines():
        lines.append(shlex.split(line.partition("tarishi ")[2]))
    for unit in (DEPLOY / "systemd").glob("*.service"):
        lines += [shlex.split(found) for found in re.findall(r"^ExecStart=\S+/tarishi (.*)$", unit.read_text(), re.M)]
    return lines


def test_every_way_runs_web_both_workers_and_the_schedule() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert {"prepare", "web", "worker", "heavy", "beat", "database", "redis", "proxy"} == set(services)
    assert {container["name"] for container in containers()} == {"prepare", "web", "worker", "heavy", "beat"}
    assert len(command_lines()) == 5 + 5 + 5 + 6  # systemd also has all of it in one unit


@pytest.mark.parametrize("line", command_lines(), ids=" ".join)
def test_command_lines_are_understood(line: list[str]) -> None:
    name, *options = line
    command = load_command_class(get_commands()[name], name)
    command.create_parser("tarishi", name).parse_args(options)


def test_only_settings_that_exist_are_set() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    ours = [service for service in services.values() if service["image"] == "tarishi"]
    named = {name for service in ours for name in service["environment"]}
    named |= set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(), re.M))
    named |= {name for found in kubernetes() if found["kind"] == "ConfigMap" for name in found["data"]}
    named |= {entry["name"] for container in containers() for entry in container["env"]}
    named |= set(re.findall(r"--from-literal=(\w+)", (DEPLOY / "kubernetes/config.yaml").read_text()))
    named |= set(re.findall(r"\b([A-Z_]{3,})=", (DEPLOY / "Dockerfile").read_text())) - {"PATH", "PYTHONUNBUFFERED"}
    assert named - SETTINGS - OTHERS == set()


def test_variables_of_the_compose_file_are_in_the_example() -> None:
    wanted = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    given = set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(), re.M))
    assert wanted == given


def figures() -> set[str]:
    return set(re.findall(r'"(tarishi_\w+)"', (ROOT / "crm/watching/facts.py").read_text()))


def test_alerts_and_board_ask_for_figures_that_exist_and_leave_none_out() -> None:
    rules = [rule for group in documents(DEPLOY / "prometheus/alerts.yaml")[0]["groups"] for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"tarishi_\w+", rule["expr"])}
    assert asked <= figures()
    assert all(rule["annotations"]["summary"] and rule["annotations"]["do"] for rule in rules)
    board = json.loads((DEPLOY / "grafana/tarishi.json").read_text())
    drawn = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"tarishi_\w+", target["expr"])
    }
    assert drawn <= figures()
    assert figures() - asked - drawn <= {"tarishi_webhook_endpoints_failing"}


def test_kubernetes_files_fit_together() -> None:
    found = kubernetes()
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in found if one["kind"] == "Deployment"]
    for one in found:
        if one["kind"] == "Service":
            assert one["spec"]["selector"] in labels
    claims = {one["metadata"]["name"] for one in found if one["kind"] == "PersistentVolumeClaim"}
    assert claims == {"tarishi-files"}
    if shutil.which("kubectl"):
        built = subprocess.run(
            ["kubectl", "kustomize", str(DEPLOY / "kubernetes")], capture_output=True, text=True, check=True, timeout=60
        )
        assert len([one for one in yaml.safe_load_all(built.stdout) if one]) == len(found)


def test_units_are_sound() -> None:
    """As systemd's own checker sees them, where there is one; what is not installed here is not counted."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    units = sorted(str(path) for path in (DEPLOY / "systemd").iterdir())
    seen = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60)
    lines = [line for line in seen.stderr.splitlines() if str(DEPLOY) in line or "Unknown" in line]
    assert [line for line in lines if "is not executable" not in line and "not found" not in line] == []
