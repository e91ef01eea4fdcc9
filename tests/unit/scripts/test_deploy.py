"""The files in deploy/, as far as that can be told without a container."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from scripts import local_airflow
from scripts.astro_settings import DEFAULT_FILE, ROOT, read
from scripts.distributed import LOCAL_SETTINGS, SLOTS

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
OF_AIRFLOW = {"setup", "api-server", "scheduler", "dag-processor", "triggerer", "worker"}
BY_THE_IMAGE = {"AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__CORE__PLUGINS_FOLDER"}
BY_THE_MACHINE = {"AIRFLOW__CORE__PARALLELISM", "AIRFLOW__CELERY__WORKER_CONCURRENCY"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "values.yaml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def options() -> dict[str, bool]:
    """Return every option of Airflow and its Celery provider, and whether it may be given by a command."""
    root = installed()
    sections = yaml.safe_load((root / "config_templates" / "config.yml").read_text(encoding="utf-8"))
    info = runpy.run_path(str(root / "providers" / "celery" / "get_provider_info.py"))
    sections |= info["get_provider_info"]()["config"]
    return {
        f"AIRFLOW__{section}__{name}".upper(): bool(option.get("sensitive"))
        for section, content in sections.items()
        for name, option in content["options"].items()
    }


def installed() -> Path:
    """Return where Airflow is, which it takes seconds to import."""
    airflow = find_spec("airflow")
    assert airflow is not None
    assert airflow.origin is not None
    return Path(airflow.origin).parent


def settings() -> dict[str, str]:
    """Return what airflow.env says."""
    lines = (DEPLOY / "airflow.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def pinned(package: str, file: str) -> str:
    found = re.search(rf"^{package}==(\S+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


class TestCompose:
    def test_file__by_the_rules_of_compose__is_valid(self) -> None:
        check_compose(COMPOSE.read_text(encoding="utf-8"))

    def test_file__with_a_misspelt_key__would_not_be_valid(self) -> None:
        broken = COMPOSE.read_text(encoding="utf-8").replace("healthcheck:", "healthcheque:", 1)
        with pytest.raises(ValueError, match="healthcheque"):
            check_compose(broken)

    def test_services__that_are_needed__are_there_and_come_back(self, services: dict[str, Any]) -> None:
        jobs = {"setup", "migrate-ledger"}
        assert services.keys() == OF_AIRFLOW | {"database", "ledger", "redis", "migrate-ledger"}
        assert {name for name, one in services.items() if one["restart"] == "no"} == jobs
        assert {name for name, one in services.items() if "healthcheck" in one} == services.keys() - jobs

    def test_images__of_ballast__are_one(self, services: dict[str, Any]) -> None:
        """Processes of different versions would not understand each other."""
        assert len({services[name]["image"] for name in OF_AIRFLOW | {"migrate-ledger"}}) == 1

    def test_secrets__that_are_named__are_made_by_the_script(
        self, services: dict[str, Any], tmp_path: Path
    ) -> None:
        made = make_secrets(tmp_path)
        secrets = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["secrets"]
        assert {Path(one["file"]).name for one in secrets.values()} <= made.keys()
        assert all(Path(one["file"]).parent == Path("secrets") for one in secrets.values())
        used = {
            one if isinstance(one, str) else one["source"]
            for service in services.values()
            for one in service.get("secrets", ())
        }
        assert used == secrets.keys()

    def test_commands__that_read_a_secret__find_it_mounted(self, services: dict[str, Any]) -> None:
        for name, service in services.items():
            mounted = {one if isinstance(one, str) else one["target"] for one in service.get("secrets", ())}
            texts = (
                [*service.get("environment", {}).values(), *service["command"]] if name in OF_AIRFLOW else []
            )
            assert set(re.findall(r"/run/secrets/([\w.]+)", " ".join(texts))) <= mounted

    def test_key_of_the_wallet__is_where_transactions_are_signed__and_nowhere_else(
        self, services: dict[str, Any]
    ) -> None:
        sources = {
            name: {one["source"] for one in service.get("secrets", ()) if isinstance(one, dict)}
            for name, service in services.items()
        }
        assert {name for name, found in sources.items() if "connections_with_key" in found} == {"worker"}
        assert {name for name, found in sources.items() if "connections" in found} == {
            "api-server",
            "triggerer",
        }

    def test_ports__that_are_published__are_on_the_loopback_address(self, services: dict[str, Any]) -> None:
        published = [port for service in services.values() for port in service.get("ports", ())]
        assert published == ["127.0.0.1:8080:8080"]

    def test_slots__of_all_workers__are_as_many_as_the_schedulers_fill(
        self, services: dict[str, Any]
    ) -> None:
        own = settings()
        queued = services["scheduler"]["deploy"]["replicas"] * int(own["AIRFLOW__CORE__PARALLELISM"])
        slots = services["worker"]["deploy"]["replicas"] * int(own["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
        assert queued == slots


class TestSettings:
    def test_variables__of_airflow__exist_in_it(
        self, services: dict[str, Any], values: dict[str, Any], options: dict[str, bool]
    ) -> None:
        given = set(settings()) | {one["name"] for one in values["env"]}
        given |= {one["envName"] for one in values["secret"]}
        for name in OF_AIRFLOW:
            given |= {key for key in services[name]["environment"] if key.startswith("AIRFLOW__")}
        commands = {name.removesuffix("_CMD") for name in given if name.endswith("_CMD")}
        assert {name.removesuffix("_CMD") for name in given} <= options.keys()
        assert {name for name in commands if not options[name]} == set()

    def test_values__of_the_chart__are_those_of_compose(self, values: dict[str, Any]) -> None:
        given = {one["name"]: one["value"] for one in values["env"]}
        assert {name: value for name, value in given.items() if name not in BY_THE_IMAGE} == settings()

    def test_settings__that_make_up_distributed_tries__are_these(self) -> None:
        own = settings()
        assert {name: own[name] for name in LOCAL_SETTINGS} == LOCAL_SETTINGS
        assert int(own["AIRFLOW__CELERY__WORKER_CONCURRENCY"]) >= SLOTS

    def test_settings__of_recovery__are_those_of_make_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(local_airflow, "free_port", lambda: 4711)
        local, own = local_airflow.environment(tmp_path, 1), settings()
        shared = {name for name in own if name.startswith("AIRFLOW__SCHEDULER__")} & local.keys()
        assert len(shared) == 3
        assert {name: own[name] for name in shared} == {name: local[name] for name in shared}

    def test_classes__that_are_named__exist(self) -> None:
        for name in ("AIRFLOW__SECRETS__BACKEND", "AIRFLOW__CORE__AUTH_MANAGER"):
            module, _, what = settings()[name].rpartition(".")
            file = installed().joinpath(*module.split(".")[1:]).with_suffix(".py")
            assert f"class {what}(" in file.read_text(encoding="utf-8")

    def test_pools_and_variables__in_containers__are_those_of_everywhere(self) -> None:
        usual, own = read(DEFAULT_FILE), read(DEPLOY / "airflow_settings.yaml")
        assert (own.pools, own.variables) == (usual.pools, usual.variables)

    def test_connections__in_containers__are_not_stored(self) -> None:
        """One that is stored would be used, unnoticed, whenever the mounted file is not found."""
        assert read(DEPLOY / "airflow_settings.yaml").connections == {}


class TestImage:
    def test_versions__of_airflow__are_the_pinned_one(self, values: dict[str, Any]) -> None:
        version = pinned("apache-airflow", "requirements.txt")
        assert f"FROM apache/airflow:{version}-python3.12" in dockerfile()
        assert values["airflowVersion"] == version

    def test_version__of_ballast__is_that_of_the_project(self, values: dict[str, Any]) -> None:
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert f'version = "{values["images"]["airflow"]["tag"]}"' in project

    def test_sources__that_are_copied__exist_and_are_not_ignored(self) -> None:
        ignore = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        allowed = [line[1:] for line in ignore if line.startswith("!")]
        copied = [
            source
            for line in re.findall(r"^COPY (.+) \S+$", dockerfile(), re.MULTILINE)
            for source in line.split()
        ]
        assert copied
        for source in copied:
            assert (ROOT / source).exists()
            assert any(fnmatch(source, pattern) for pattern in allowed)

    def test_context__of_the_image__has_no_secrets(self) -> None:
        ignore = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        assert ignore[1] == "*"
        assert not [line for line in ignore if "secret" in line and line.startswith("!")]

    def test_folders__of_the_code__are_on_the_path(self) -> None:
        assert "PYTHONPATH=/opt/ballast:/opt/ballast/plugins:/opt/ballast/config" in dockerfile()
        for name in BY_THE_IMAGE:
            assert (
                f"{name}=/opt/ballast/{name.split('__')[-1].removesuffix('_FOLDER').lower()}" in dockerfile()
            )


class TestMakeSecrets:
    def test_script__run_twice__keeps_what_is_there(self, tmp_path: Path) -> None:
        first = make_secrets(tmp_path)
        assert make_secrets(tmp_path) == first

    def test_script__any__makes_what_fits_together(self, tmp_path: Path) -> None:
        made = make_secrets(tmp_path)
        password = made["airflow_database_password"]
        assert f":{password}@" in made["airflow_database"]
        assert made["result_backend"] == f"db+{made['airflow_database']}"
        assert made["airflow_database_async"] == made["airflow_database"].replace(
            "+psycopg:", "+psycopg_async:"
        )
        assert made["broker_url"] == f"redis://:{made['redis_password']}@redis:6379/0"
        assert f"requirepass {made['redis_password']}\n" in made["redis.conf"]
        assert len({made[name] for name in made}) == len(made)

    def test_connections__with_and_without_the_key__know_the_same_ledger(self, tmp_path: Path) -> None:
        made = make_secrets(tmp_path)
        without, whole = (
            json.loads(made[f"{name}.json"]) for name in ("connections", "connections_with_key")
        )
        assert "evm_wallet" not in without
        assert whole.pop("evm_wallet") == {"conn_type": "evm", "login": "", "password": ""}
        assert without == whole
        assert without["rebalancing_ledger"]["password"] == made["ledger_database_password"]

    def test_secrets__any__are_not_for_everybody(self, tmp_path: Path) -> None:
        make_secrets(tmp_path)
        assert not [file.name for file in tmp_path.iterdir() if file.stat().st_mode & 0o007]


def check_compose(text: str) -> None:
    """Refuse what Compose would refuse. The library knows no merge keys or variables: they are resolved."""
    resolved = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    PyCompose.from_yaml(yaml.safe_dump(yaml.safe_load(resolved)))


def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def make_secrets(folder: Path) -> dict[str, str]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    script = DEPLOY / "make-secrets.sh"
    subprocess.run(["bash", str(script), str(folder)], check=True, capture_output=True)
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
