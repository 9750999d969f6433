"""deploy/kubernetes says the same as docker-compose.yml, the Procfile and the code. (It is parsed, never applied.)"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts import names
from deepseek_web.launch.procfile import processes
from tests.deepseek_web.test_compose import SERVICES, sources

pytestmark = pytest.mark.unit

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
FILES = sorted(FOLDER.rglob("*.yaml"))


def load(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


BASE = {(thing["kind"], thing["metadata"]["name"]): thing
        for path in sorted((FOLDER / "base").glob("*.yaml")) if path.name != "kustomization.yaml"
        for thing in load(path)}  # fmt: skip
OF_WORKERS = {"worker", "worker-train"}


def pod(kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = BASE[kind, name]["spec"]["template"]["spec"]
    return found


def container(name: str) -> dict[str, Any]:
    (found,) = pod("Deployment", name)["containers"]
    return dict(found)


def containers() -> Iterator[dict[str, Any]]:
    for thing in BASE.values():
        spec = thing.get("spec", {}).get("template", {}).get("spec", {})
        yield from [*spec.get("containers", []), *spec.get("initContainers", [])]


def environment(one: dict[str, Any]) -> dict[str, Any]:
    found = {item["name"]: item for item in one.get("env", [])}
    for source in one.get("envFrom", []):
        found |= BASE["ConfigMap", source["configMapRef"]["name"]]["data"]
    return found


def test_every_manifest_is_named_by_its_kustomization() -> None:
    for path in FOLDER.rglob("kustomization.yaml"):
        (said,) = load(path)
        for name in [*said.get("resources", []), *said.get("components", [])]:
            assert (path.parent / name).exists(), f"{path}: {name}"
        files = {one.name for one in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
        assert files <= set(said.get("resources", []))


def test_deployments_are_the_processes() -> None:
    assert {name for kind, name in BASE if kind == "Deployment"} == set(processes())


@pytest.mark.parametrize("name", sorted(processes()))
def test_a_deployment_runs_the_line_of_the_procfile(name: str) -> None:
    """With the image's own entrypoint, as in compose."""
    found = container(name)
    assert "command" not in found
    assert found["args"] == SERVICES[name]["command"] == [name]
    assert found["image"] == SERVICES[name]["image"]


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_stores_are_those_of_compose(name: str) -> None:
    (found,) = pod("StatefulSet", name)["containers"]
    assert found["image"] == SERVICES[name]["image"]
    (claim,) = BASE["StatefulSet", name]["spec"]["volumeClaimTemplates"]
    (mount,) = found["volumeMounts"]
    assert mount == {"name": claim["metadata"]["name"], "mountPath": SERVICES[name]["volumes"][0].partition(":")[2]}


def test_valkey_is_started_as_in_compose() -> None:
    (found,) = pod("StatefulSet", "valkey")["containers"]
    assert found["command"] + found["args"] == [part.replace("$$", "$") for part in SERVICES["valkey"]["command"]]


def test_the_preparation_is_that_of_compose() -> None:
    (model,), (prepare,) = (pod("Job", "prepare")[kind] for kind in ("initContainers", "containers"))
    for found, name in ((model, "model"), (prepare, "prepare")):
        wanted = SERVICES[name]["entrypoint"] + [part.replace("$$", "$") for part in SERVICES[name]["command"]]
        assert (found["command"] + found["args"], found["image"]) == (wanted, SERVICES[name]["image"])


@pytest.mark.parametrize("name", ["worker", "worker-train", "worker-app"])
def test_celery_is_asked_as_in_compose(name: str) -> None:
    asked = container(name)["livenessProbe"]["exec"]["command"]
    assert asked == ["sh", "-c", SERVICES[name]["healthcheck"]["test"][1].replace("$$", "$")]
    node = re.search(r"-n (\w+)-\$\$@%h", processes()[name])
    assert node and f"{node[1]}-1@$HOSTNAME" in asked[-1]


def test_web_is_asked_as_in_compose() -> None:
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container("web")[probe]["exec"]["command"] == SERVICES["web"]["healthcheck"]["test"][1:]


def test_every_variable_is_read_by_something() -> None:
    stores = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "REDISCLI_AUTH"}
    text = sources()
    named = {name for one in containers() for name in environment(one)} - stores
    assert [name for name in sorted(named) if not re.search(rf"\b{name}\b", text)] == []


def test_workers_have_no_database_and_the_others_what_they_need() -> None:
    for name in processes():
        there = set(environment(container(name)))
        needed = {"REDIS_URL"} if name in OF_WORKERS else {"SECRET_KEY", "DATABASE_URL", "REDIS_URL"}
        assert needed <= there
        assert not (name in OF_WORKERS and {"SECRET_KEY", "DATABASE_URL"} & there)


def test_secrets_come_from_the_secret_alone() -> None:
    example = (FOLDER / "secret.env.example").read_text()
    keys = set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    used = {item["valueFrom"]["secretKeyRef"]["key"]
            for one in containers() for item in one.get("env", []) if "valueFrom" in item}  # fmt: skip
    assert used == keys
    assert not [kind for kind, _ in BASE if kind == "Secret"]
    assert re.findall(r"^(?:SECRET_KEY|\w+_PASSWORD)=(.+)$", example, re.MULTILINE) == []


def test_pods_have_no_rights_of_root() -> None:
    for name in processes():
        assert pod("Deployment", name)["securityContext"]["runAsUser"] == 10001  # Dockerfile
        assert container(name)["securityContext"]["allowPrivilegeEscalation"] is False
        assert container(name)["resources"]["requests"].keys() == {"cpu", "memory"}
    dockerfile = (FOLDER.parents[1] / "Dockerfile").read_text()
    assert "--uid 10001" in dockerfile


def test_only_ours_reach_the_stores() -> None:
    for name, port, wanted in (
        ("postgres", 5432, set(processes()) - OF_WORKERS | {"prepare"}), ("valkey", 6379, {*processes(), "prepare"})
    ):  # fmt: skip
        first = BASE["NetworkPolicy", name]["spec"]["ingress"][0]
        (expression,) = first["from"][0]["podSelector"]["matchExpressions"]
        assert (set(expression["values"]), first["ports"][0]["port"]) == (wanted, port)
        (back,) = BASE["NetworkPolicy", f"to-{name}"]["spec"]["podSelector"]["matchExpressions"]
        assert set(back["values"]) == wanted
    assert BASE["NetworkPolicy", "nothing"]["spec"]["podSelector"] == {}


def test_budgets_and_services_choose_pods_that_are_there() -> None:
    for (kind, name), thing in BASE.items():
        selector = thing["spec"]["selector"] if kind in ("Service", "PodDisruptionBudget") else {}
        chosen = selector.get("matchLabels", selector)
        if chosen:
            assert ("Deployment", chosen["app"]) in BASE or ("StatefulSet", chosen["app"]) in BASE, name


def test_queues_are_called_as_in_the_code() -> None:
    scaled = [one for one in load(FOLDER / "components/keda/scaling.yaml") if one["kind"] == "ScaledObject"]
    lists = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"]["triggers"][0]["metadata"]["listName"] for one in scaled
    }
    worker = names.queue_name(names.revision_key("smollm2-135m", 1))
    assert lists == {"worker-app": names.APP_QUEUE, "worker": worker}
    assert all(("Deployment", name) in BASE for name in lists)


def test_patches_name_what_is_there() -> None:
    for path in FOLDER.rglob("kustomization.yaml"):
        for patch in load(path)[0].get("patches", []):
            inner = yaml.safe_load(patch["patch"])
            target = patch.get("target") or {"kind": inner["kind"], "name": inner["metadata"]["name"]}
            thing: Any = BASE[target["kind"], target["name"]]
            for step in inner if isinstance(inner, list) else []:
                at = thing
                parts = [part.replace("~1", "/") for part in step["path"].split("/")[1:]]
                for part in parts[: -1 if step["op"] == "add" else None]:
                    at = at[int(part)] if isinstance(at, list) else at[part]
