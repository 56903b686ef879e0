from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodsprints.release.image import extract as extraction
from prodsprints.release.image.environment import runtime_environment
from prodsprints.release.image.errors import ImageError, UnsafeImageError
from prodsprints.release.image.extract import extract
from prodsprints.release.image.layout import CONFIG, LAYER, MANIFEST, Layout
from prodsprints.release.image.unpack import unpack
from support_images import Workshop


def member(
    name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", mode: int = 0o644, size: int = 0
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode, made.size = kind, link, mode, size
    return made


def tar(*members: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for entry in members:
            archive.addfile(entry, io.BytesIO(b"x" * entry.size) if entry.isreg() else None)
    return stream.getvalue()


def outside(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if "in" not in path.parts)


DIRECTORY, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE

HOSTILE = {
    "an absolute name": [member("/etc/x")],
    "a name with dots": [member("a/../../x")],
    "a name of nothing": [member("a//x")],
    "a link to an absolute path": [member("l", LINK, link="/etc")],
    "a link upwards": [member("l", LINK, link="../x")],
    "a link upwards by way of another": [
        member("a/b/c/up", LINK, link="../../.."),
        member("a/b/c/out", LINK, link="up/.."),
    ],
    "a file below a link": [member("l", LINK, link="a"), member("l/x")],
    "a directory below a link": [member("l", LINK, link="a"), member("l/x/", DIRECTORY)],
    "a link in the place of a directory": [member("a/x"), member("a", LINK, link="b")],
    "a file in the place of a directory": [member("a/x"), member("a")],
    "a directory in the place of a file": [member("a"), member("a/x")],
    "a file twice": [member("a"), member("a")],
    "a link twice": [member("a", LINK, link="x"), member("a", LINK, link="y")],
    "a link, then a file of its name": [member("a", LINK, link="x"), member("a")],
    "a hard link": [member("a"), member("b", HARD, link="a")],
    "a hard link outwards": [member("b", HARD, link="../../etc/passwd")],
    "a device": [member("d", tarfile.CHRTYPE)],
    "a pipe": [member("p", tarfile.FIFOTYPE)],
    "a setuid bit": [member("s", mode=0o4755)],
    "a setgid directory": [member("s", DIRECTORY, mode=0o2755)],
    "a whiteout": [member("a/.wh.b")],
    "a very long name": [member("x/" * 100 + "y" * 5000)],
    "a very deep name": [member("x/" * 200 + "y")],
    "a name too long for a file": [member("y" * 300)],
    "a name with a zero": [member("a\0b" * 100)],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_layer_is_refused_and_writes_nothing_outside(members: list[tarfile.TarInfo], tmp_path: Path) -> None:
    with pytest.raises(UnsafeImageError):
        extract(io.BytesIO(tar(*members)), tmp_path / "in")
    assert outside(tmp_path) == []


def test_a_layer_beyond_the_bounds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "MAX_FILES", 3)
    with pytest.raises(UnsafeImageError, match="more than 3 entries"):
        extract(io.BytesIO(tar(*(member(str(number)) for number in range(4)))), tmp_path / "many")
    monkeypatch.setattr(extraction, "MAX_BYTES", 1000)
    with pytest.raises(UnsafeImageError, match="unpacks to more"):
        extract(io.BytesIO(tar(member("a", size=600), member("b", size=600))), tmp_path / "much")


def test_a_header_that_claims_gigabytes_does_not_take_them(tmp_path: Path) -> None:
    content = bytearray(tar(member("x" * 200), form=tarfile.GNU_FORMAT))
    content[124:136] = b"77777777777\0"  # the size of the long name that follows
    content[148:156] = b"        "
    content[148:156] = f"{sum(content[:512]):06o}\0 ".encode()
    with pytest.raises(UnsafeImageError):
        extract(io.BytesIO(bytes(content)), tmp_path / "in")


def test_a_plain_layer_is_unpacked_read_only(tmp_path: Path) -> None:
    plain = [member("bin/run", mode=0o755, size=3), member("bin/data", size=5), member("link", LINK, link="bin/run")]
    extract(io.BytesIO(tar(*plain)), tmp_path / "in")
    assert (tmp_path / "in" / "link").read_text() == "xxx"
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "in" / "bin").iterdir()}
    assert modes == {"run": 0o555, "data": 0o444}


names = st.one_of(
    st.sampled_from(["a", "a/b", "a/b/c", "b", "../x", "/x", "a/../b", ".", "l", "l/x", "", "a/", "./a"]),
    st.text(max_size=12),
)
entries = st.builds(
    member,
    names,
    st.sampled_from([tarfile.REGTYPE, DIRECTORY, LINK, LINK, HARD, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE]),
    link=st.sampled_from(["a", "..", "../..", "b", "a/b", "/etc", "l", "../a", "."]),
    mode=st.sampled_from([0o644, 0o755, 0o4755]),
    size=st.integers(0, 700),
)


def check_containment(content: bytes) -> None:
    directory = Path(tempfile.mkdtemp())
    try:
        try:
            extract(io.BytesIO(content), directory / "in")
        except ImageError:
            pass
        else:
            root = (directory / "in").resolve()
            for path in root.rglob("*"):
                assert Path(os.path.realpath(path)).is_relative_to(root)
                assert not path.lstat().st_mode & 0o7000
        assert outside(directory) == []
    finally:
        shutil.rmtree(directory)


@settings(max_examples=150, deadline=None)
@given(st.lists(entries, max_size=6), st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]))
def test_no_combination_of_entries_escapes(members: list[tarfile.TarInfo], form: int) -> None:
    try:
        content = tar(*members, form=form)
    except (ValueError, UnicodeError):
        return
    check_containment(content)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damaged_archive_escapes_or_raises_anything_but_our_errors(data: st.DataObject) -> None:
    content = bytearray(tar(member("a/b", size=100), member("l", LINK, link="a"), member("ü" * 80, size=3)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        start = data.draw(st.integers(0, len(content) // 512 - 1)) * 512
        content[start + 148 : start + 156] = b"        "  # a valid checksum, so that the damage is looked at
        content[start + 148 : start + 156] = f"{sum(content[start : start + 512]):06o}\0 ".encode()
    check_containment(bytes(content[: data.draw(st.integers(0, len(content)))]))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000))
def test_arbitrary_bytes_never_raise_anything_but_our_errors(content: bytes) -> None:
    check_containment(content)


def test_a_changed_byte_in_any_blob_is_noticed(workshop: Workshop) -> None:
    digest = workshop.build().digest
    for number, blob in enumerate((workshop.layout / "blobs" / "sha256").iterdir()):
        original = blob.read_bytes()
        middle = len(original) // 2
        blob.write_bytes(original[:middle] + bytes([original[middle] ^ 1]) + original[middle + 1 :])
        target = workshop.place / f"unpacked-{number}"
        with pytest.raises(UnsafeImageError, match="does not match its digest"):
            unpack(workshop.layout, digest, target)
        assert {path.name for path in target.iterdir() if not path.name.endswith(".lock")} <= {"layers"}
        blob.write_bytes(original)


def test_a_missing_blob_is_named(workshop: Workshop) -> None:
    digest = workshop.build().digest
    Layout(workshop.layout).blob(digest).unlink()
    with pytest.raises(ImageError, match="is not in the image layout"):
        unpack(workshop.layout, digest, workshop.place / "unpacked")


@pytest.mark.parametrize(
    "digest", ["", "latest", "sha256:../../etc/passwd", "sha256:" + "A" * 64, "sha512:" + "a" * 128]
)
def test_what_is_no_digest_is_refused(digest: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeImageError, match="is no sha256 digest"):
        unpack(tmp_path, digest, tmp_path)


def test_a_configuration_that_does_not_fit_its_layers_is_refused(tmp_path: Path) -> None:
    store = Layout(tmp_path / "images")
    layer = store.add(LAYER, lambda sink: (sink.write(tar(member("a"))), None)[1])
    for diff_ids in ([], ["sha256:" + "0" * 64], [layer.digest] * 2):
        config = store.add_document(
            CONFIG,
            {"rootfs": {"diff_ids": diff_ids}, "config": {"Labels": {"prodsprints.python": "3.11"}}},
        )
        manifest = store.add_document(
            MANIFEST, {"mediaType": MANIFEST, "config": config.document(), "layers": [layer.document()]}
        )
        with pytest.raises(UnsafeImageError, match="no image that this builder makes"):
            unpack(store.path, manifest.digest, tmp_path / "unpacked")


def test_unpacking_again_and_at_once_gives_the_same_directory(workshop: Workshop) -> None:
    digest = workshop.build().digest
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(unpack(workshop.layout, digest, workshop.place / "unpacked")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [workshop.place / "unpacked" / digest.removeprefix("sha256:") / "rootfs"] * 3
    assert not list((workshop.place / "unpacked").glob(".unpacking*"))


def test_images_share_the_files_of_their_common_dependencies(workshop: Workshop) -> None:
    first = unpack(workshop.layout, workshop.build().digest, workshop.place / "unpacked")
    workshop.write({"shop/more.py": ""})
    second = unpack(workshop.layout, workshop.build().digest, workshop.place / "unpacked")
    module = "usr/lib/prodsprints/site-packages/greeting/__init__.py"
    assert (first / module).samefile(second / module)
    assert not (first / "app" / "shop" / "more.py").exists()


def test_unpacked_files_are_compiled_and_belong_to_nobody_who_runs_them(workshop: Workshop) -> None:
    rootfs = unpack(workshop.layout, workshop.build().digest, workshop.place / "unpacked")
    assert list((rootfs / "app" / "shop" / "__pycache__").glob("__main__.*.pyc"))
    assert {path.lstat().st_uid for path in rootfs.rglob("*")} == {os.geteuid()}
    assert runtime_environment(rootfs).readable[0] == rootfs.parent
