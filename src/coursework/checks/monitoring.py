"""The monitoring instrument: Prometheus and Alertmanager with the answer's own files."""

import json
import secrets
import time
from collections.abc import Mapping
from functools import cached_property
from itertools import count
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from coursework.checks.deadline import Deadline
from coursework.checks.failure import CHECK_AGAIN, Failure, StartFailure
from coursework.checks.finished import Finished
from coursework.checks.run import CheckRun
from coursework.containers.container import Container, Settings
from coursework.words import shortened

PROMETHEUS_IMAGE, ALERTMANAGER_IMAGE = "prometheus:2.53", "alertmanager:0.28"
PROMETHEUS_FILE, ALERTMANAGER_FILE = "prometheus.yml", "alertmanager.yml"
_READY_WITHIN_S = 10.0
_ANSWERS_WITHIN_S = 5.0
_PROMTOOL_ENDS_WITHIN_S, _EACH_CASE_TAKES_S = 30.0, 5.0
_POLL_S = 0.05
_TESTS_AT = "/tests"
_EACH_CASE = """
tests=$0 mark=$1; shift
for case; do
  cd "/tests/$case"
  said=$(promtool test rules "$tests" 2>&1)
  echo "$mark$?"
  echo "$said" | tail -n 10
done
"""

Labels = dict[str, str]


class _Program:
    """One of the two, started in the background; the first question waits until it is ready."""

    def __init__(self, run: CheckRun, name: str, settings: Settings, file: str) -> None:
        self._file = file
        self._starting = run.services.start_service(name, settings)

    @property
    def container(self) -> Container:
        """The container in which it runs."""
        return self._starting.result()

    @property
    def address(self) -> str:
        """Its address on the engine's network.

        Raises:
            StartFailure: it does not come up; what it says is told.
        """
        assert self._near  # noqa: S101 - waits until it is ready
        return self.container.network_address

    def ask(self, path: str, value: object = None) -> Any:
        """Send GET, or POST with a value as JSON, and return the reply's JSON; None for no body.

        Raises:
            StartFailure: it does not come up.
        """
        host, port = self._near
        return _ask(f"http://{host}:{port}{path}", value)

    @cached_property
    def _near(self) -> tuple[str, int]:
        deadline = Deadline(_READY_WITHIN_S)
        while True:
            address = self.container.near_address()
            try:
                if address:
                    _ask(f"http://{address[0]}:{address[1]}/-/ready")
                    return address
            except OSError as error:
                saw = str(error)
            else:
                saw = "no address"
            code = self.container.exit_code()
            if code is not None or deadline.has_passed():
                self._end(saw if code is None else f"it ended with exit code {code}")
            time.sleep(_POLL_S)

    def _end(self, saw: str) -> NoReturn:
        lines = self.container.log().strip().splitlines()
        # Both log with a level; a file that they refuse is one line of it.
        wrong = [line for line in lines if "level=error" in line or "error loading" in line.lower()]
        last = " / ".join((wrong or lines)[-2:])
        raise StartFailure(
            f"a server that starts with your {self._file}",
            shortened(f"{saw}; its log: {last}", 500),
            command=f"docker logs {self.container.name}",
            hint=f"the log names the line of {self._file} that it refuses",
        )


class Prometheus(_Program):
    """A Prometheus beside the answer, with all of the answer's YAML files in its folder.

    Example:
        >>> prometheus = monitoring.prometheus({"web": server.container.network_address})
        >>> prometheus.wait_for('up{job="web"} == 1')
        [({'__name__': 'up', 'instance': 'web:9100', 'job': 'web'}, 1.0)]

    """

    def query(self, expression: str) -> list[tuple[Labels, float]]:
        """Return the series that a PromQL expression has now: labels, and value."""
        found = self.ask(f"/api/v1/query?query={quote(expression)}")["data"]["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]

    def wait_for(self, expression: str, *, within_s: float = 10.0) -> list[tuple[Labels, float]]:
        """Wait until an expression has a series, and return what it has.

        Raises:
            Failure: it has none when the time is over; what its targets say is told.
        """
        deadline = Deadline(within_s)
        while not (found := self.query(expression)):
            if deadline.has_passed():
                looked_for = f"{expression} in Prometheus within {within_s:g} s"
                raise Failure(looked_for, self.targets(), command=CHECK_AGAIN)
            time.sleep(_POLL_S)
        return found

    def targets(self) -> str:
        """Say which targets it has, and how they are, in one line."""
        targets = self.ask("/api/v1/targets?state=active")["data"]["activeTargets"]
        told = (
            f"{t['labels'].get('job')} {t['scrapeUrl']} {t['health']} {t['lastError']}".strip()
            for t in targets
        )
        return shortened("targets: " + ("; ".join(told) or "none"), 400)


class Alertmanager(_Program):
    """An Alertmanager beside the answer, with the answer's own alertmanager.yml."""

    def fire(self, *alerts: Labels) -> None:
        """Send alerts as Prometheus does: they begin now.

        Args:
            alerts: labels of each, `alertname` among them.
        """
        self.ask("/api/v2/alerts", [{"labels": labels} for labels in alerts])

    def states(self, name: str) -> list[str]:
        """Return the state of each alert of a name: `unprocessed`, `active` or `suppressed`."""
        found = self.ask("/api/v2/alerts")
        return [a["status"]["state"] for a in found if a["labels"].get("alertname") == name]


class Monitoring:
    """Starts both with the answer's own files, and runs promtool on them.

    Args:
        run: of the checks.
    """

    def __init__(self, run: CheckRun) -> None:
        self._run = run
        self._numbers = count(1)

    @property
    def files(self) -> dict[str, bytes]:
        """The answer's YAML files, by name."""
        files = self._run.task.submission.files
        return {n: f for n, f in files.items() if "/" not in n and n.endswith((".yml", ".yaml"))}

    def prometheus(self, hosts: Mapping[str, str]) -> Prometheus:
        """Start a Prometheus with the answer's prometheus.yml and the files beside it.

        Args:
            hosts: addresses by the names under which it finds them.

        Raises:
            StartFailure: the answer has no such file.
        """
        self._expect(PROMETHEUS_FILE)
        files = {f"/etc/prometheus/{name}": content for name, content in self.files.items()}
        settings = Settings(
            PROMETHEUS_IMAGE, files=files, port=9090, memory="512m", hosts=dict(hosts)
        )
        return Prometheus(self._run, self._name("prometheus"), settings, PROMETHEUS_FILE)

    def alertmanager(self, hosts: Mapping[str, str]) -> Alertmanager:
        """Start an Alertmanager with the answer's alertmanager.yml; see `prometheus`."""
        self._expect(ALERTMANAGER_FILE)
        files = {f"/etc/alertmanager/{n}": content for n, content in self.files.items()}
        settings = Settings(
            ALERTMANAGER_IMAGE, files=files, port=9093, memory="512m", hosts=dict(hosts)
        )
        return Alertmanager(self._run, self._name("alertmanager"), settings, ALERTMANAGER_FILE)

    def promtool(self, cases: Mapping[str, Mapping[str, bytes]], tests: str) -> dict[str, Finished]:
        """Run `promtool test rules` in several folders, and return how it ended in each.

        Args:
            cases: files by name, by the name of each folder.
            tests: the file with tests, the same in each.

        Raises:
            Failure: it does not come to an end.
        """
        files = {
            f"{_TESTS_AT}/{case}/{name}": content
            for case, laid in cases.items()
            for name, content in laid.items()
        }
        # What the answer's own files make it print must not pass for the end of a case.
        mark = f"== {secrets.token_hex(8)} "
        command = ("sh", "-c", _EACH_CASE, tests, mark, *cases)
        settings = Settings(PROMETHEUS_IMAGE, files=files, memory="512m", entrypoint=command)
        within_s = _PROMTOOL_ENDS_WITHIN_S + _EACH_CASE_TAKES_S * len(cases)
        finished = self._run.services.run_program("promtool", settings, within_s=within_s)
        printed = finished.stdout
        ends = [part.partition("\n") for part in printed.split(mark)[1:]]
        if len(ends) != len(cases):
            # Its memory is bounded, and the answer's tests may want more.
            raise Failure(f"promtool test rules {tests} that ends", shortened(printed, 300))
        return {
            case: Finished(int(code), text.encode(), "")
            for case, (code, _, text) in zip(cases, ends, strict=True)
        }

    def _expect(self, file: str) -> None:
        if file not in self.files:
            raise StartFailure(f"a file {file}", "there is none")

    def _name(self, program: str) -> str:
        return f"{program}-{next(self._numbers)}"


def _ask(url: str, value: object = None) -> Any:
    body = None if value is None else json.dumps(value).encode()
    request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - http only
    try:
        with urlopen(request, timeout=_ANSWERS_WITHIN_S) as reply:  # noqa: S310 - http only
            text = reply.read()
    except HTTPError as error:
        with error:
            raise OSError(f"{error.code}: {error.read(300).decode(errors='replace')}") from error
    try:
        return json.loads(text)
    except ValueError:
        return None


@pytest.fixture(scope="session")
def monitoring(check_run: CheckRun) -> Monitoring:
    """Return the starter of Prometheus and Alertmanager, beside the submission."""
    return Monitoring(check_run)
