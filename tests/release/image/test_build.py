from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tarfile
import threading
from typing import Any

import pytest

from prodsprints.controls.providers.guards import Policy
from prodsprints.guard import Outcome, Retry, ServiceUnavailable
from prodsprints.release.image import layer
from prodsprints.release.image.contents import packages
from prodsprints.release.image.environment import runtime_environment
from prodsprints.release.image.errors import (
    DependencyError,
    ImageError,
    InstallError,
    InterpreterError,
    NoSpaceError,
    UnsafeImageError,
)
from prodsprints.release.image.layout import Layout
from prodsprints.release.image.unpack import unpack
from prodsprints.runtime import sandbox, users
from support_images import Workshop, wheel


def members(workshop: Workshop, digest: str) -> dict[str, tarfile.TarInfo]:
    store = Layout(workshop.layout)
    found: dict[str, tarfile.TarInfo] = {}
    for entry in store.document(digest)["layers"]:
        with tarfile.open(store.blob(entry["digest"])) as archive:
            found |= {member.name: member for member in archive}
    return found


def run(workshop: Workshop, digest: str, *command: str) -> sandbox.Completed:
    rootfs = unpack(workshop.layout, digest, workshop.place / "unpacked")
    runtime = runtime_environment(rootfs, command)
    return sandbox.run(
        runtime.argv,
        cwd=runtime.workdir,
        env=runtime.env,
        confinement=sandbox.Confinement((), readable=runtime.readable, user=users.unprivileged("app")),
        timeout_seconds=30,
        on_line=lambda _: None,
    )


def test_what_runs_is_what_the_image_says(workshop: Workshop, walls: str) -> None:
    digest = workshop.build().digest
    assert run(workshop, digest).tail == ("serving 1.0",)
    assert run(workshop, digest, "greeting").tail == ("greeting 1.0",)


def test_equal_inputs_give_an_equal_digest_wherever_they_are_built(workshop: Workshop) -> None:
    elsewhere = workshop.place / "quite" / "elsewhere"
    shutil.copytree(workshop.tree, elsewhere)
    os.utime(elsewhere / "requirements.txt", (1, 1))
    (elsewhere / "shop" / "__main__.py").chmod(0o600)
    (elsewhere / "shop" / "__pycache__").mkdir()
    (elsewhere / "shop" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"x")
    first = workshop.build()
    second = workshop.build(elsewhere, cache="other-cache", layout="other-images")
    assert first == second


def test_every_blob_of_the_layout_is_named_by_its_content(workshop: Workshop) -> None:
    digest = workshop.build().digest
    blobs = list((workshop.layout / "blobs" / "sha256").iterdir())
    assert len(blobs) == 4
    assert all(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name for blob in blobs)
    assert json.loads((workshop.layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert [entry["digest"] for entry in json.loads((workshop.layout / "index.json").read_text())["manifests"]] == [
        digest
    ]


def test_no_trace_of_the_building_machine_is_in_a_layer(workshop: Workshop) -> None:
    found = members(workshop, workshop.build().digest)
    assert not [name for name in found if name.endswith((".pyc", "direct_url.json", "INSTALLER", "REQUESTED"))]
    assert {(member.uid, member.gid, member.uname) for member in found.values()} == {(0, 0, "")}
    store = Layout(workshop.layout)
    for entry in (workshop.layout / "blobs" / "sha256").iterdir():
        assert str(workshop.place).encode() not in entry.read_bytes()
    assert store.path == workshop.layout


def test_scripts_find_their_interpreter_by_the_path(workshop: Workshop) -> None:
    rootfs = unpack(workshop.layout, workshop.build().digest, workshop.place / "unpacked")
    script = rootfs / "usr/lib/prodsprints/bin/greeting"
    assert script.read_text().startswith("#!/usr/bin/env python3\n")
    assert os.access(script, os.X_OK)


def test_a_second_build_needs_no_package_index(workshop: Workshop) -> None:
    first = workshop.build()
    shutil.rmtree(workshop.wheels)
    assert workshop.build() == first
    workshop.write({"shop/extra.py": "x = 1\n"})
    assert workshop.build() != first


def test_other_requirements_are_installed_anew(workshop: Workshop) -> None:
    first = workshop.build()
    wheel(workshop.wheels, "greeting", "2.0")
    workshop.write({"requirements.txt": "greeting>=2\n"})
    second = workshop.build()
    assert second != first
    assert run(workshop, second.digest).tail == ("serving 2.0",)


def test_a_package_that_is_nowhere_is_named_with_what_to_do(workshop: Workshop) -> None:
    workshop.write({"requirements.txt": "no-such-package-anywhere\n"})
    with pytest.raises(InstallError, match="no-such-package-anywhere") as caught:
        workshop.build()
    assert "Correct the name" in caught.value.next_step
    assert not workshop.layout.exists()


def test_an_index_out_of_reach_is_called_by_its_name(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://someone:hunter2hunter2@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "1")
    workshop.write({"requirements.txt": "anything-at-all\n"})
    with pytest.raises(InstallError, match="cannot be reached") as caught:
        workshop.build()
    assert "hunter2" not in str(caught.value) + "".join(workshop.said)


def test_while_the_index_is_out_of_reach_further_builds_are_told_so_at_once(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "1")
    policy = Policy(retry=Retry.never(), failure_threshold=1, failures=(ServiceUnavailable,))
    monkeypatch.setattr("prodsprints.release.image.install._POLICY", policy)
    for name in ("anything-at-all", "something-else"):
        workshop.write({"requirements.txt": f"{name}\n"})
        with pytest.raises(InstallError, match="cannot be reached") as caught:
            workshop.build()
    assert "PIP_INDEX_URL" in caught.value.next_step and "Try again in" in caught.value.next_step
    [guard] = workshop.guards
    assert guard.snapshot().count(Outcome.CIRCUIT_OPEN) == 1
    assert not any("something-else" in line for line in workshop.said)


def test_requirements_with_hashes_are_held_to_them(workshop: Workshop) -> None:
    good = hashlib.sha256((workshop.wheels / "greeting-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    workshop.write({"requirements.txt": f"greeting==1.0 --hash=sha256:{good}\n"})
    digest = workshop.build().digest
    assert [(item.name, item.sha256) for item in packages(workshop.layout, digest)] == [("greeting", good)]
    workshop.write({"requirements.txt": f"greeting==1.0 --hash=sha256:{'0' * 64}\n"})
    with pytest.raises(InstallError) as caught:
        workshop.build()
    assert "hashes" in caught.value.next_step


def test_a_server_is_added_also_where_everything_else_is_hashed(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prodsprints.release.image.dependencies.SERVERS", {"uvicorn": "uvicorn==9.9"})
    wheel(workshop.wheels, "uvicorn", "9.9", metadata="Requires-Dist: greeting\n")
    wheel(workshop.wheels, "greeting", "3.0")
    good = hashlib.sha256((workshop.wheels / "greeting-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    workshop.write({"requirements.txt": f"greeting==1.0 --hash=sha256:{good}\n"})
    found = packages(workshop.layout, workshop.build(extra_packages=("uvicorn",)).digest)
    assert [(item.name, item.version) for item in found] == [("greeting", "1.0"), ("uvicorn", "9.9")]


def test_a_package_inside_the_repository_is_installed(workshop: Workshop) -> None:
    wheel(workshop.wheels, "inner")
    shutil.copy(workshop.wheels / "inner-1.0-py3-none-any.whl", workshop.tree)
    (workshop.wheels / "inner-1.0-py3-none-any.whl").unlink()
    workshop.write({"requirements.txt": "./inner-1.0-py3-none-any.whl\n"})
    assert [item.name for item in packages(workshop.layout, workshop.build().digest)] == ["inner"]


def test_a_src_folder_is_on_the_path_and_the_platform_is_not(workshop: Workshop, walls: str) -> None:
    workshop.write({"src/inside/__init__.py": "place = 'src'\n"})
    digest = workshop.build().digest
    script = (
        "import inside, sys\nprint(inside.place)\n"
        "for name in ('prodsprints', 'psycopg', 'pip', 'setuptools'):\n"
        "    try: __import__(name); print('reached', name)\n"
        "    except ImportError: pass\n"
    )
    assert run(workshop, digest, "python", "-c", script).tail == ("src",)


def test_the_applications_variables_are_set_and_stay_inside(workshop: Workshop) -> None:
    digest = workshop.build(environment=(("PYTHONPATH", "lib"), ("DJANGO_SETTINGS_MODULE", "shop.settings"))).digest
    rootfs = unpack(workshop.layout, digest, workshop.place / "unpacked")
    runtime = runtime_environment(rootfs)
    assert runtime.env["DJANGO_SETTINGS_MODULE"] == "shop.settings"
    assert runtime.env["PYTHONPATH"] == f"{rootfs}/app:{rootfs}/app/lib"
    with pytest.raises(ImageError, match="outside"):
        workshop.build(environment=(("PYTHONPATH", "../../etc"),))


def test_a_python_that_is_not_here_is_said_with_those_that_are(workshop: Workshop) -> None:
    with pytest.raises(InterpreterError, match=r"No Python here satisfies <3\.2.*usable: 3\."):
        workshop.build(requires_python="<3.2")
    with pytest.raises(InterpreterError, match="no version specifier"):
        workshop.build(requires_python="the newest")


def test_a_link_out_of_the_tree_is_refused(workshop: Workshop) -> None:
    (workshop.tree / "a").mkdir()
    (workshop.tree / "a" / "up").symlink_to("..")
    (workshop.tree / "a" / "out").symlink_to("up/../..")
    with pytest.raises(UnsafeImageError, match="a/out leads out"):
        workshop.build()


def test_links_inside_the_tree_survive(workshop: Workshop) -> None:
    (workshop.tree / "alias").symlink_to("shop")
    rootfs = unpack(workshop.layout, workshop.build().digest, workshop.place / "unpacked")
    assert (rootfs / "app" / "alias" / "__main__.py").read_text().startswith("import greeting")


def test_a_tree_beyond_the_bounds_is_refused(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "MAX_FILES", 3)
    with pytest.raises(ImageError, match="may hold 3 files"):
        workshop.build(dependencies=())


def test_a_full_disk_leaves_nothing_half_written(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    before = workshop.build()
    listed = sorted((workshop.layout / "blobs" / "sha256").iterdir())
    workshop.write({"shop/more.py": "x = 1\n"})

    def full(*_args: Any, **_options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(NoSpaceError, match="No space is left"):
        patched.setattr(os, "fsync", full)
        workshop.build()
    assert sorted((workshop.layout / "blobs" / "sha256").iterdir()) == listed
    assert unpack(workshop.layout, before.digest, workshop.place / "unpacked").is_dir()


def test_builds_of_the_same_dependencies_at_once_install_them_once(workshop: Workshop) -> None:
    digests: list[str] = []
    threads = [threading.Thread(target=lambda: digests.append(workshop.build().digest)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(digests)) == 1 and len(digests) == 3
    assert sum("Successfully installed" in line for line in workshop.said) == 1
    assert len(json.loads((workshop.layout / "index.json").read_text())["manifests"]) == 1


def test_a_requirement_file_that_leads_out_of_the_repository_is_refused(workshop: Workshop) -> None:
    workshop.write({"requirements.txt": "-r ../../../etc/hostname\n"})
    with pytest.raises(DependencyError, match="leads out of the repository"):
        workshop.build()


def test_setup_code_of_a_package_sees_nothing_of_ours(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODSPRINTS_DATABASE_URL", "postgresql://u:ours-secret@127.0.0.1/x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ours-secret")
    backend = (
        "import os, pathlib\n"
        "def build_wheel(directory, config_settings=None, metadata_directory=None):\n"
        "    raise SystemExit('SEEN ' + repr(sorted(os.environ)) + ' AS ' + str(os.getuid()))\n"
    )
    workshop.write(
        {
            "inner/pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "back"\nbackend-path = ["."]\n',
            "inner/back.py": backend,
            "requirements.txt": "./inner\n",
        }
    )
    with pytest.raises(InstallError):
        workshop.build()
    seen = next(line for line in workshop.said if "SEEN" in line)
    assert "PRODSPRINTS" not in seen and "AWS_" not in seen
    assert seen.endswith(f"AS {users.unprivileged('build:shop') or os.getuid()}")


def test_a_real_package_from_the_index_is_installed(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_RETRIES", "1")
    workshop.write({"requirements.txt": "idna\n"})
    try:
        digest = workshop.build().digest
    except InstallError as error:
        if os.environ.get("CI") or "cannot be reached" not in error.what:
            raise
        pytest.skip("no package index can be reached from here")
    assert run(workshop, digest, "python", "-c", "import idna; print(idna.encode('a.b').decode())").tail == ("a.b",)
