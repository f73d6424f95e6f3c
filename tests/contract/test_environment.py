"""The lists of packages agree: pyproject, environment.yml and the locks, with hashes and no address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

LOCKS = ("run", "dev", "bench")
DEVELOPMENT = ("estimation", "optimize", "dask", "app", "book", "test", "dev")


def name_of(requirement: str) -> str:
    """Return the normalised name of a requirement."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found.group()).lower()


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())


def direct(project: dict, *extras: str) -> list[str]:
    """Return the direct requirements with those of the extras, each once, our own extras resolved."""
    found = list(project["project"]["dependencies"])
    for extra in extras:
        for item in project["project"]["optional-dependencies"][extra]:
            if not item.startswith("pmkit["):
                found.append(item)
    return list(dict.fromkeys(found))


def locked(root: Path, lock: str) -> dict[str, str]:
    """Return name and exact version of every package of a lock."""
    lines = (root / "requirements" / f"{lock}.txt").read_text().splitlines()
    pinned = [re.match(r"([A-Za-z0-9._-]+)==(\S+) \\$", line) for line in lines]
    return {name_of(found[1]): found[2] for found in pinned if found}


def test_environment_file_equals_project(root: Path, project: dict) -> None:
    environment = yaml.safe_load((root / "environment.yml").read_text())
    plain = [item for item in environment["dependencies"] if isinstance(item, str)]
    (nested,) = [item for item in environment["dependencies"] if isinstance(item, dict)]
    minimum = project["project"]["requires-python"].removeprefix(">=")
    assert environment["name"] == project["project"]["name"]
    assert plain == [f"python={minimum}", "pip"]
    expected = direct(project, *DEVELOPMENT) + project["build-system"]["requires"]
    assert nested == {"pip": expected}


def test_development_extra_holds_the_others(project: dict) -> None:
    extras = project["project"]["optional-dependencies"]
    assert set(extras) == {*DEVELOPMENT, "bench"}
    assert {f"pmkit[{extra}]" for extra in DEVELOPMENT if extra != "dev"} <= set(extras["dev"])


@pytest.mark.parametrize(("lock", "extras"), [("run", ()), ("dev", DEVELOPMENT)])
def test_lock_holds_every_direct_requirement(
    root: Path, project: dict, lock: str, extras: tuple[str, ...]
) -> None:
    build = project["build-system"]["requires"]
    wanted = {name_of(item) for item in direct(project, *extras) + build}
    assert wanted <= set(locked(root, lock))


def test_build_requirements_are_listed_for_the_lock(root: Path, project: dict) -> None:
    lines = (root / "requirements" / "build.in").read_text().splitlines()
    listed = {line for line in lines if line and not line.startswith("#")}
    assert listed == {*project["build-system"]["requires"], "editables"}


def test_smaller_lock_is_part_of_the_larger_at_equal_versions(root: Path) -> None:
    run, dev = locked(root, "run"), locked(root, "dev")
    assert run.items() <= dev.items()
    assert "pytest" in dev and "pytest" not in run


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_is_exact_and_hashed(root: Path, lock: str) -> None:
    text = (root / "requirements" / f"{lock}.txt").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) == len(locked(root, lock)) > 0
    for entry in entries:
        head, *rest = entry.splitlines()
        hashes = [line for line in rest if re.match(r"    --hash=sha256:[0-9a-f]{64}( \\)?$", line)]
        assert re.match(r"[a-z0-9._-]+==[^\s;]+( ; .*)? \\$", head), head
        assert hashes, f"{head} has no hash"
        assert all(line in hashes or line.startswith("    #") for line in rest), entry


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_address(root: Path, lock: str) -> None:
    text = (root / "requirements" / f"{lock}.txt").read_text()
    assert "://" not in text
    assert not re.findall(r"^--", text, flags=re.MULTILINE)
