"""docker-compose.yml and Dockerfile say the same as the Procfile and the settings. (They are parsed, not run.)"""

import re
from pathlib import Path

import pytest
import yaml

from deepseek_web.launch.procfile import processes

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
STORES = {"postgres", "valkey"}
ONCE = {"model", "prepare"}
OURS = set(SERVICES) - STORES
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def sources() -> str:
    """Everything that reads the environment."""
    folders = ("deepseek_web", "apps", "workers", "contracts")
    python = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return "\n".join(path.read_text(encoding="utf8") for path in [*python, ROOT / "Procfile"])


def test_services_are_the_processes() -> None:
    assert set(SERVICES) - STORES - ONCE == set(processes())


@pytest.mark.parametrize("name", sorted(processes()))
def test_service_runs_the_line_of_the_procfile(name: str) -> None:
    assert SERVICES[name]["command"] == [name]
    assert "entrypoint" not in SERVICES[name]


def test_images_run_processes_of_the_procfile() -> None:
    stages = re.split(r"^FROM .* AS (\w+)$", DOCKERFILE, flags=re.MULTILINE)
    texts = dict(zip(stages[1::2], stages[2::2], strict=True))
    targets = {service["build"]["target"] for name, service in SERVICES.items() if name in OURS}
    assert targets == {"web", "worker"}
    for target in targets:
        assert 'ENTRYPOINT ["python", "-m", "deepseek_web.launch", "process"]' in texts[target]
        assert f'CMD ["{target}"]' in texts[target]
        assert "USER deepseek" in texts[target]


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_variable_is_read_by_something(name: str) -> None:
    text = sources()
    variables = SERVICES[name]["environment"]
    assert [variable for variable in variables if not re.search(rf"\b{variable}\b", text)] == []


def test_web_side_has_all_required_settings() -> None:
    settings = (ROOT / "deepseek_web/settings.py").read_text()
    required = set(re.findall(r'\benv\("(\w+)"\)', settings))
    assert required == {"SECRET_KEY", "DATABASE_URL", "REDIS_URL"}
    for name in ("web", "worker-app", "beat", "prepare"):
        assert required <= set(SERVICES[name]["environment"])


def test_worker_has_no_database() -> None:
    assert not {"DATABASE_URL", "SECRET_KEY"} & set(SERVICES["worker"]["environment"])


def test_worker_reserves_a_gpu_and_nobody_else_does() -> None:
    devices = {name: service.get("deploy", {}).get("resources") for name, service in SERVICES.items()}
    reserved = {name: resources["reservations"]["devices"] for name, resources in devices.items() if resources}
    assert reserved == {"worker": [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]}


def test_no_secret_is_written_down() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for secret in ("SECRET_KEY", "POSTGRES_PASSWORD", "VALKEY_PASSWORD"):
        assert re.findall(rf"\$\{{{secret}[^}}]*\}}", text) == [f"${{{secret}:?set {secret}}}"] * text.count(
            f"${{{secret}"
        )


def test_stores_are_durable_and_watched() -> None:
    for name in STORES:
        assert SERVICES[name]["volumes"]
        assert SERVICES[name]["healthcheck"]["test"]
    assert "appendonly yes" in SERVICES["valkey"]["command"][-1]
    assert "noeviction" in SERVICES["valkey"]["command"][-1]


def test_processes_wait_for_the_preparation() -> None:
    for name in processes():
        assert SERVICES[name]["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}


def test_volumes_are_declared() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_web_image_leaves_out_what_the_web_side_may_not_import() -> None:
    (left_out,) = re.findall(r"grep -vE '\^\(([^)]*)\)=='", DOCKERFILE)
    locked = {line.partition("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines()}
    assert {"torch", "onnx", "onnxruntime", "onnxscript", "transformers"} <= set(left_out.split("|")) & locked


def test_exactly_one_onnxruntime_is_locked() -> None:
    lines = [line for name in ("requirements.txt", "requirements-dev.txt") for line in (ROOT / name).open()]
    assert [line for line in lines if line.startswith("onnxruntime")] == [
        line for line in lines if line.startswith("onnxruntime==")
    ]
    assert re.search(r"^onnxruntime-gpu==", (ROOT / "requirements-gpu.txt").read_text(), re.MULTILINE)


def test_lock_files_name_no_index() -> None:
    for path in ROOT.glob("requirements*"):
        assert not re.search(r"://|^-[-if]", path.read_text(), re.MULTILINE), path
