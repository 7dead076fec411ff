"""Who has the certificates takes part, and nobody else does."""

import ssl

import pytest
import yaml
from click.testing import CliRunner

from coursework.cohort.remote.certificates import write_certificates
from coursework.commands.certificates import command
from coursework.trouble import CourseError
from tests.cohort.remote.conftest import ended, hand_in, machines_in, results


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of certificates."""
    made = tmp_path_factory.mktemp("tls") / "dask-tls"
    done = CliRunner().invoke(command, [str(made)])
    assert done.exit_code == 0, done.output
    assert f"export DASK_CONFIG={made}" in done.output
    return made


def test_the_key_is_for_its_owner_alone_and_is_not_overwritten(folder):
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    before = (folder / "key.pem").read_bytes()
    with pytest.raises(
        CourseError, match=r"holds ca\.pem, cert\.pem, key\.pem, dask\.yaml already"
    ):
        write_certificates(folder)
    assert (folder / "key.pem").read_bytes() == before


def test_a_configuration_that_is_there_stays_and_nobody_is_told_to_remove_a_folder(tmp_path):
    """People keep their own dask.yaml in ~/.config/dask."""
    (tmp_path / "dask.yaml").write_text("mine")
    with pytest.raises(CourseError, match=r"holds dask\.yaml already") as refused:
        write_certificates(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["dask.yaml"]
    assert (tmp_path / "dask.yaml").read_text() == "mine"
    assert "rm" not in refused.value.fix


def test_the_place_is_told_as_every_shell_finds_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(command, ["my tls"]).output
    assert f"export DASK_CONFIG='{tmp_path}/my tls'" in told


def test_they_hold_also_before_a_strict_reader(folder):
    tls = yaml.safe_load((folder / "dask.yaml").read_text())["distributed"]["comm"]["tls"]
    ours, theirs = (
        ssl.create_default_context(purpose, cafile=tls["ca-file"])
        for purpose in (ssl.Purpose.SERVER_AUTH, ssl.Purpose.CLIENT_AUTH)
    )
    ours.check_hostname = False
    for context in (ours, theirs):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(tls["client"]["cert"], tls["client"]["key"])
    shake_hands(ours, theirs)


def shake_hands(ours, theirs):
    """Let both ends of a connection in memory show their certificates."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [ours.wrap_bio(back, there), theirs.wrap_bio(there, back, server_side=True)]
    for _ in range(4):
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)
    assert ends == []


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_run_with_certificates_works_and_one_without_is_refused(folder, clone, tmp_path):
    with machines_in(tmp_path / "room", DASK_CONFIG=str(folder)) as machines:
        machines.protocol = "tls"
        machines.start_scheduler()
        machines.start_worker(clone)
        hand_in(tmp_path, ada="right")
        ended(machines.grade(clone, tmp_path))
        assert results(tmp_path)["ada"].is_final
        del machines._variables["DASK_CONFIG"]
        hand_in(tmp_path, bob="right")
        assert "No scheduler answers at tls://" in ended(machines.grade(clone, tmp_path), 2)
        machines.protocol = "tcp"
        assert "No scheduler answers at tcp://" in ended(machines.grade(clone, tmp_path), 2)
        assert set(results(tmp_path)) == {"ada"}
