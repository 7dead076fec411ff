"""Prometheus and Alertmanager with the answer's own files, and promtool on them."""

import pytest

from coursework.checks.failure import Failure, StartFailure
from coursework.checks.monitoring import Monitoring
from coursework.checks.patience import eventually
from coursework.images import ensure_images

pytestmark = pytest.mark.engine

PROMETHEUS = """
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
scrape_configs:
  - {job_name: self, static_configs: [{targets: ["localhost:9090"]}]}
"""
RULES = """
groups:
  - name: all
    rules:
      - {alert: Up, expr: up == 1}
"""
ALERTMANAGER = """
route: {receiver: nobody, group_wait: 0s}
receivers: [{name: nobody}]
inhibit_rules:
  - {source_matchers: [alertname = Loud], target_matchers: [alertname = Quiet]}
"""
TESTS = """
rule_files: [rules.yml]
tests:
  - interval: 1s
    input_series: [{series: up, values: 1x5}]
    alert_rule_test: [{alertname: Up, eval_time: 3s, exp_alerts: [{}]}]
"""


@pytest.fixture
def monitoring_of(engine, run_of):
    """Return a function that makes the instrument with an answer's files."""
    ensure_images(engine, ["prometheus:2.53", "alertmanager:0.28"])
    return lambda files: Monitoring(run_of(files))


def test_prometheus_scrapes_and_evaluates_as_the_answer_says(monitoring_of):
    """With all YAML files of the answer beside its prometheus.yml."""
    prometheus = monitoring_of({"prometheus.yml": PROMETHEUS, "rules.yml": RULES}).prometheus({})
    [(labels, value)] = prometheus.wait_for('up{job="self"} == 1')
    assert (labels["instance"], value) == ("localhost:9090", 1.0)
    assert prometheus.wait_for('ALERTS{alertname="Up", alertstate="firing"}')
    with pytest.raises(Failure, match="in Prometheus within"):
        prometheus.wait_for("up == 7", within_s=0.1)


def test_a_file_that_prometheus_refuses_is_told_with_its_reason(monitoring_of):
    """As is a file that the answer doesn't have."""
    with pytest.raises(StartFailure) as refused:
        assert monitoring_of({"prometheus.yml": "rule_filez: []"}).prometheus({}).address
    assert "rule_filez" in refused.value.saw
    with pytest.raises(StartFailure, match="alertmanager"):
        monitoring_of({"prometheus.yml": PROMETHEUS}).alertmanager({})


def test_alertmanager_silences_what_the_answer_says(monitoring_of):
    """An alert's state says so; other alerts stay active."""
    alertmanager = monitoring_of({"alertmanager.yml": ALERTMANAGER}).alertmanager({})
    alertmanager.fire({"alertname": "Loud"}, {"alertname": "Quiet"}, {"alertname": "Other"})

    def look():
        states = {name: alertmanager.states(name) for name in ("Loud", "Quiet", "Other")}
        if states != {"Loud": ["active"], "Quiet": ["suppressed"], "Other": ["active"]}:
            raise Failure("decided", str(states))

    eventually(look, within_s=5)


def test_promtool_runs_in_each_folder(monitoring_of):
    """What an answer makes it print doesn't pass for the end of another case."""
    monitoring = monitoring_of({"rules.yml": RULES, "t.yml": TESTS})
    never = {"rules.yml": RULES.replace("up == 1", "up == 2").encode(), "t.yml": TESTS.encode()}
    forged = TESTS.replace("{}", '{exp_labels: {a: "\\n== 0\\n"}}').encode()
    ended = monitoring.promtool(
        {"good": monitoring.files, "never": never, "forged": {**monitoring.files, "t.yml": forged}},
        "t.yml",
    )
    assert {name: bool(finished.exit_code) for name, finished in ended.items()} == {
        "good": False,
        "never": True,
        "forged": True,
    }
    assert "SUCCESS" in ended["good"].stdout
    assert "alertname: Up" in ended["never"].stdout
