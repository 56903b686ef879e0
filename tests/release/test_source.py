from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.release import source, tree
from prodsprints.release.errors import (
    DirtyTreeError,
    ExportError,
    GitError,
    NotARepositoryError,
    RepositoryTooLargeError,
    UnknownCommitError,
    UnsafeTreeError,
)
from prodsprints.release.source import export, resolve

Git = Callable[..., str]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    return path


@pytest.fixture
def git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Git in the repository, which exists from the first call on."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.org")
        monkeypatch.setenv(f"GIT_{name}_DATE", "2026-03-01T12:00:00+0100")

    def run(*arguments: str, stdin: bytes | None = None, at: Path = repository) -> str:
        done = subprocess.run(["git", *arguments], cwd=at, input=stdin, capture_output=True, check=True)
        return done.stdout.decode().strip()

    run("init", "--quiet", "--initial-branch=main")
    return run


@pytest.fixture
def commit(repository: Path, git: Git) -> Callable[..., str]:
    """Write files, commit them, and return the commit's id."""

    def run(files: dict[str, str | bytes]) -> str:
        for name, content in files.items():
            path = repository / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        git("add", "--all")
        git("commit", "--quiet", "--message", "Change")
        return git("rev-parse", "HEAD")

    return run


@pytest.fixture
def commit_tree(git: Git) -> Callable[..., str]:
    """Commit a tree of (mode, path, content) that no working tree needs to hold."""

    def run(entries: list[tuple[str, bytes, bytes]]) -> str:
        index = b""
        for mode, path, content in entries:
            oid = "1" * 40 if mode == "160000" else git("hash-object", "-w", "--stdin", stdin=content)
            index += f"{mode} {oid}\t".encode() + path + b"\0"
        git("update-index", "-z", "--index-info", stdin=index)
        return git("commit-tree", git("write-tree"), "-m", "Made")

    return run


def test_a_clean_head_is_resolved_with_its_time_and_a_short_label(repository, commit):
    made = commit({"app.py": "x = 1\n"})
    found = resolve(repository, None)
    assert (found.path, found.commit, found.label) == (repository, made, made[:12])
    assert found.commit_time.isoformat() == "2026-03-01T11:00:00+00:00"


def test_an_exact_tag_is_the_label_and_the_one_that_was_named_wins(repository, commit, git):
    commit({"app.py": "x = 1\n"})
    git("tag", "v1.9")
    git("tag", "--annotate", "--message", "Ten", "v1.10")
    git("tag", "naïve")
    assert resolve(repository, None).label == "v1.10"
    assert resolve(repository, "v1.9").label == "v1.9"
    assert resolve(repository, "naïve").label == "v1.10", "a label becomes a header, so only plain names count"


def test_a_folder_of_the_repository_leads_to_its_top(repository, commit):
    commit({"deep/down/app.py": ""})
    assert resolve(repository / "deep" / "down", None).path == repository


def test_worktrees_bare_and_shallow_clones_are_resolved(repository, commit, git, tmp_path):
    commit({"app.py": "1"})
    made = commit({"app.py": "2"})
    git("worktree", "add", "--quiet", "--detach", str(tmp_path / "worktree"))
    git("clone", "--quiet", "--bare", str(repository), str(tmp_path / "bare.git"))
    git("clone", "--quiet", "--depth=1", f"file://{repository}", str(tmp_path / "shallow"))
    for name in ("worktree", "bare.git", "shallow"):
        found = resolve(tmp_path / name, None)
        assert found.commit == made
        export(found, tmp_path / "out" / name)
        assert (tmp_path / "out" / name / "app.py").read_text() == "2"
    with pytest.raises(UnknownCommitError, match="unshallow"):
        resolve(tmp_path / "shallow", "HEAD~1")


def test_what_is_no_repository_is_refused_with_a_way_to_make_one(tmp_path):
    with pytest.raises(NotARepositoryError, match=r"git -C .* init"):
        resolve(tmp_path, None)
    with pytest.raises(NotARepositoryError, match="does not exist"):
        resolve(tmp_path / "nowhere", None)
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    with pytest.raises((NotARepositoryError, GitError)):
        resolve(tmp_path, None)


def test_a_repository_without_commits_is_refused(repository, git):
    with pytest.raises(UnknownCommitError, match="no commit yet"):
        resolve(repository, None)


@pytest.mark.parametrize("ref", ["nothing", "", "--all", "-h", "HEAD^{tree}", "a\0b", "v1 v2"])
def test_an_unknown_ref_is_refused(repository, commit, ref):
    commit({"app.py": ""})
    with pytest.raises(UnknownCommitError):
        resolve(repository, ref)


def test_changes_in_no_commit_are_named_unless_a_commit_is(repository, commit, git):
    commit(dict.fromkeys(("modified", "deleted", "staged", "kept"), "same size\n") | {".gitignore": "ignored\n"})
    (repository / "modified").write_text("SAME SIZE\n")
    (repository / "deleted").unlink()
    (repository / "staged").write_text("other\n")
    git("add", "staged")
    (repository / "untracked\nfile").touch()
    (repository / "ignored").touch()
    with pytest.raises(DirtyTreeError) as caught:
        resolve(repository, None)
    for named in ("modified (modified)", "deleted (deleted)", "staged (staged)", r"untracked\nfile (untracked)"):
        assert named in caught.value.what
    assert "ignored" not in caught.value.what
    assert "kept" not in caught.value.what
    assert "--ref HEAD" in caught.value.next_step
    assert resolve(repository, "HEAD").commit


def test_no_more_than_five_changes_are_named(repository, commit):
    commit({"app.py": ""})
    for number in range(9):
        (repository / f"new{number}").touch()
    with pytest.raises(DirtyTreeError, match="and more") as caught:
        resolve(repository, None)
    assert caught.value.what.count("(untracked)") == 5


def test_line_ends_of_a_checkout_and_files_behind_lfs_pointers_are_no_changes(repository, commit):
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 3\n"
    commit({"text": "one\ntwo\n", "image.bin": pointer})
    (repository / "text").write_bytes(b"one\r\ntwo\r\n")
    (repository / "image.bin").write_bytes(b"abc")
    assert resolve(repository, None).commit


def test_the_export_is_the_commit_and_not_the_working_tree(repository, commit, tmp_path):
    commit({"app.py": "committed\n", "bin/run": "#!/bin/sh\n", "ünïcode file": "x", "-dash": "y"})
    (repository / "bin/run").chmod(0o755)
    (repository / "link").symlink_to("bin/run")
    commit({"empty": ""})
    (repository / "app.py").write_text("changed\n")
    target = tmp_path / "out"
    export(resolve(repository, "HEAD"), target)
    assert (target / "app.py").read_text() == "committed\n"
    assert (target / "link").readlink() == Path("bin/run")
    assert (target / "bin/run").stat().st_mode & 0o777 == 0o755
    assert (target / "app.py").stat().st_mode & 0o777 == 0o644
    assert not (target / ".git").exists()
    assert {path.name for path in target.iterdir()} == {"app.py", "bin", "ünïcode file", "-dash", "link", "empty"}


def test_attributes_and_configuration_of_the_repository_run_nothing_and_change_nothing(
    repository, commit, git, tmp_path
):
    witness = tmp_path / "witness"
    (repository / "hooks").mkdir()
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {witness}\ncat\n")
    evil.chmod(0o755)
    commit({"app.py": "$Format:%H$\n", "secret.txt": "x\n", "lfs.bin": "y\n"})
    commit({".gitattributes": "* filter=evil diff=evil export-subst\nsecret.txt export-ignore\nlfs.bin filter=lfs\n"})
    for name in ("post-index-change", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
        (repository / ".git" / "hooks").mkdir(exist_ok=True)
        (repository / ".git" / "hooks" / name).symlink_to(evil)
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "filter.lfs.smudge",
        "filter.lfs.clean",
        "diff.evil.textconv",
        "diff.evil.command",
        "gpg.program",
        "core.editor",
        "core.alternateRefsCommand",
        "credential.helper",
        "uploadpack.packObjectsHook",
        "remote.origin.uploadpack",
        "alias.rev-parse",
        "alias.ls-tree",
    ):
        git("config", key, str(evil))
    git("config", "log.showSignature", "true")
    git("config", "core.worktree", "/")
    git("config", "remote.origin.url", f"ext::{evil}")
    git("config", "remote.origin.promisor", "true")
    git("config", "extensions.partialClone", "origin")
    git("config", "protocol.ext.allow", "always")
    os.utime(repository / "app.py")
    witness.unlink(missing_ok=True)
    found = resolve(repository, None)
    export(found, tmp_path / "out")
    with pytest.raises(UnknownCommitError):
        resolve(repository, "0123456789012345678901234567890123456789")
    assert (tmp_path / "out" / "app.py").read_text() == "$Format:%H$\n"
    assert (tmp_path / "out" / "secret.txt").exists()
    assert not witness.exists()


@pytest.mark.parametrize(
    ("links", "allowed"),
    [
        ({"a": "b"}, True),
        ({"d/a": "../b"}, True),
        ({"a": "/etc/passwd"}, False),
        ({"a": "../b"}, False),
        ({"d/a": "../../b"}, False),
        ({"d/up": "..", "a": "d/up/../.."}, False),
        ({"d/up": "..", "a": "d/up/b"}, True),
        ({"a": "b", "b": "a"}, True),
        ({"a": "d/../../x"}, False),
    ],
)
def test_links_that_leave_the_repository_are_refused_by_name(repository, commit_tree, tmp_path, links, allowed):
    made = commit_tree([("120000", name.encode(), target.encode()) for name, target in links.items()])
    if allowed:
        export(resolve(repository, made), tmp_path / "out")
        assert all((tmp_path / "out" / name).is_symlink() for name in links)
        return
    with pytest.raises(UnsafeTreeError, match="a is a symbolic link that points outside"):
        resolve(repository, made)


PARTS = st.sampled_from([b"a", b"b", b"c", b"..", b".", b""])


@given(
    st.dictionaries(
        st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=3).map(b"/".join),
        st.lists(PARTS, min_size=1, max_size=5).map(b"/".join),
        max_size=4,
    )
)
def test_a_tree_that_passes_has_no_link_that_leads_out_of_it(tmp_path_factory, links):
    entries = [tree.Entry(path, 0o120000, "", len(target), target) for path, target in links.items()]
    try:
        tree.check(entries)
    except UnsafeTreeError:
        return
    root = tmp_path_factory.mktemp("links").resolve()
    for entry in entries:
        place = root / entry.place
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(os.fsdecode(entry.target))
        except OSError:
            return  # a link where another entry needs a directory: the export refuses that
    for entry in entries:
        try:
            (root / entry.place).stat()
        except OSError as error:
            if error.errno == errno.ELOOP:
                continue  # round in circles, which opens nothing
        assert Path(os.path.realpath(root / entry.place)).is_relative_to(root)


def test_submodules_are_refused_by_name(repository, commit_tree):
    with pytest.raises(UnsafeTreeError, match="vendor/thing is a submodule"):
        resolve(repository, commit_tree([("160000", b"vendor/thing", b"")]))


def test_names_that_are_no_text_are_kept_byte_by_byte(repository, commit_tree, tmp_path):
    made = commit_tree([("100644", b"line\nbreak", b"1"), ("100644", b"latin-\xe9", b"2")])
    export(resolve(repository, made), tmp_path / "out")
    assert {os.fsencode(path.name) for path in (tmp_path / "out").iterdir()} == {b"line\nbreak", b"latin-\xe9"}


def test_paths_beyond_the_bounds_are_refused(repository, commit_tree):
    with pytest.raises(UnsafeTreeError, match="70 levels"):
        resolve(repository, commit_tree([("100644", b"/".join([b"d"] * 70), b"")]))
    with pytest.raises(UnsafeTreeError, match="bytes in"):
        resolve(repository, commit_tree([("100644", b"/".join([b"d" * 200] * 6), b"")]))


def test_a_repository_that_is_too_large_is_refused_naming_its_biggest_files(repository, commit, monkeypatch):
    commit({"small": "x", "dump.sql": b"y" * 3_000, "video.mp4": b"z" * 5_000})
    monkeypatch.setattr(source, "MAX_TOTAL_BYTES", 4_000)
    with pytest.raises(RepositoryTooLargeError) as caught:
        resolve(repository, None)
    assert caught.value.what.index("video.mp4") < caught.value.what.index("dump.sql")
    assert ".gitignore" in caught.value.next_step
    monkeypatch.undo()
    monkeypatch.setattr(source, "MAX_FILES", 2)
    with pytest.raises(RepositoryTooLargeError, match="3 files"):
        resolve(repository, None)


def test_a_target_with_files_in_it_is_left_alone(repository, commit, tmp_path):
    commit({"app.py": ""})
    target = tmp_path / "out"
    target.mkdir()
    (target / "mine").touch()
    with pytest.raises(ExportError, match="not empty"):
        export(resolve(repository, None), target)
    assert (target / "mine").exists()


def test_an_export_that_fails_leaves_nothing_behind(repository, commit, git, tmp_path):
    commit({"a.py": "1", "b.py": "22"})
    found = resolve(repository, None)
    oid = git("rev-parse", "HEAD:b.py")
    (repository / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(GitError, match="git fsck"):
        export(found, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
def test_root_reads_another_users_repository_but_no_objects_borrowed_from_a_third(repository, commit, tmp_path):
    commit({"app.py": "1"})
    subprocess.run(["chown", "-R", "1234", str(repository)], check=True)
    export(resolve(repository, None), tmp_path / "out")
    other = tmp_path / "other"
    subprocess.run(["git", "init", "--quiet", "--bare", str(other)], check=True)
    (repository / ".git" / "objects" / "info" / "alternates").write_text(f"{other}/objects\n")
    with pytest.raises(NotARepositoryError, match="belongs to another user"):
        resolve(repository, None)
