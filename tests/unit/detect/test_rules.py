"""Rules files: what is wrong is named with file and line, what is right is compiled into the contract's units."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from hotfire.contract.odcs import compile_contract
from hotfire.detect import DETECTORS
from hotfire.detect.forms import COMMON, FORMS
from hotfire.detect.model import Delays, Level, Rule
from hotfire.detect.rules import compiled, contract_rules, judged_rules, read_rules, stream_of
from hotfire.errors import ContractError
from hotfire.findings import SEVERITIES, About
from hotfire.testing.detector_suite import BURNS

ENGINES = compile_contract(
    [("v1.yaml", (Path(__file__).parents[2] / "golden" / "contract" / "engine_telemetry.yaml").read_text("utf-8"))]
)
WHOLE = """stream: burns
version: 2
author: mia
reason: fewer shutdown alarms
valid_from: 2026-03-01T00:00:00Z
rules:
  - name: overpressure
    detector: limit
    channels: [pressure, inlet_pressure]
    unit: psi
    warning: {high: 4000}
    critical: {low: 500, high: 4350}
    deadband: 30
    context:
      - {when: "phase = 'standby'", critical: {high: 4500}}
    min_violations: 3
    for: 500 ms
    off_delay: 2 s
    while: temperature > 0
    settle: 5 s
    latch: true
    message: "{asset}: {value}{unit} in {phase}"
    runbook: https://wiki.example/pressure
    owner: propulsion
"""


def one(text: str) -> Rule:
    """The rule that the keys below `- name: tried` make."""
    return compiled("rules/burns.yaml", f"stream: burns\nversion: 1\nrules:\n  - name: tried\n{text}", BURNS).rules[0]


def test_a_whole_file() -> None:
    """Every key arrives, limits and deadband in bar."""
    file = compiled("rules/burns.yaml", WHOLE, BURNS)
    assert (file.file, file.stream, file.version, file.author) == ("rules/burns.yaml", "burns", 2, "mia")
    assert (file.reason, file.valid_from_ns) == ("fewer shutdown alarms", 1_772_323_200 * 10**9)
    (rule,) = file.rules
    assert (rule.name, rule.detector, rule.channels) == ("overpressure", "limit", ("pressure", "inlet_pressure"))
    high, low = 299.9219422528237, 34.473786465841805
    assert rule.levels == (Level("warning", None, 275.79029172673444), Level("critical", low, high))
    assert rule.parameters["deadband"] == 2.0684271879505083
    assert rule.parameters["contexts"] == (("phase = 'standby'", (Level("critical", None, 310.2640781925763),)),)
    assert rule.delays == Delays(3, 500_000_000, 2_000_000_000)
    assert (rule.only, rule.settle_ns) == ("temperature > 0", 5_000_000_000)
    assert rule.about == About(
        latch=True, runbook="https://wiki.example/pressure", owner="propulsion", detector="limit"
    )
    assert rule.message == "{asset}: {value}{unit} in {phase}"


@pytest.mark.parametrize(
    ("old", "new", "line", "what", "do"),
    [
        ("reason: fewer", "reson: fewer", 4, "reson: `reson` is not known", "did you mean `reason`?"),
        ("version: 2", "version: two", 2, "`version` is not a count from 1", "raise it with every change"),
        ("author: mia", "author: 7", 3, "`author` is not text", "quote it"),
        ("00:00:00Z", "00:00:00", 5, "`2026-03-01T00:00:00` is not an instant with a zone", "2026-03-01T00:00:00Z"),
        ("name: overpressure", "name: over-pressure", 7, "'over-pressure' is not a name for a rule", "a-z, 0-9 and _"),
        ("detector: limit", "detector: limits", 8, "there is no detector 'limits'", "did you mean `limit`?"),
        ("detector: limit\n", "\n", 7, "detector: is missing", "known: limit, rate_of_change"),
        ("[pressure,", "[presure,", 9, "there is no channel `presure`", "did you mean `pressure`?"),
        (
            "[pressure,",
            "[temperature,",
            9,
            "no unit in common: temperature [degC], inlet_pressure [bar]",
            "one rule for each",
        ),
        ("[pressure,", "[inlet_pressure,", 9, "`inlet_pressure` is named twice", "name it once"),
        ("channels: [pressure, inlet_pressure]", "channels: pressure", 9, "is not a list of columns", "[temperature]"),
        ("unit: psi", "unit: degC", 10, "unit: degC cannot be converted to bar", "do not measure the same"),
        ("unit: psi", "unit: psii", 10, "there is no unit `psii`", "did you mean `psi`?"),
        ("unit: psi", "unit: 7", 10, "7 is not a unit", "quote it"),
        (
            "{high: 4000}",
            "{high: 4400}",
            12,
            "critical: is reached before a milder severity",
            "the milder one comes first",
        ),
        ("{high: 4000}", "{hihg: 4000}", 11, "warning: needs `low`, `high` or both", "{low: 40, high: 300}"),
        ("low: 500", "low: 4200", 12, "critical: a low limit is not below a high limit", "every reading"),
        ("deadband: 30", "deadband: -1", 13, "-1 is not a number from 0", ""),
        ("phase = 'standby'", "fase = 'standby'", 15, "there is no column `fase`", "did you mean `phase`?"),
        (
            "critical: {high: 4500}",
            "critcal: {high: 4500}",
            15,
            "no such severity `critcal`",
            "did you mean `critical`?",
        ),
        ("min_violations: 3", "min_violations: 0", 16, "0 is not a count from 1", ""),
        ("for: 500 ms", "for: soon", 17, "for: 'soon' is not a duration", "`500 ms`"),
        ("for: 500 ms", "for: 1 s\n    on_delay: 1 s", 17, "`for` and `on_delay` are the same", "keep one of them"),
        ("while: temperature > 0", "while: temperature", 19, "`temperature` is a number, not true or false", "compare"),
        ("while: temperature > 0\n", "\n", 20, "`settle` needs `while`", ""),
        ("latch: true", "latch: always", 21, "'always' is not true or false", ""),
        ("in {phase}", "in {fase}", 22, "there is no `{fase}` to fill in", "did you mean `phase`?"),
        ("in {phase}", "in {phase", 22, "is not a message: expected '}'", "write {{ and }} for braces"),
        ("{value}{unit}", "{value:.1f}", 22, "is not a message: a name in braces stands alone", "braces"),
        (
            "owner: propulsion",
            "severity: critical",
            24,
            "a rule of `limit` has no `severity`",
            "it has channel, channels",
        ),
        ("owner: propulsion", "ownr: propulsion", 24, "`ownr` is not known", "did you mean `owner`?"),
        ("owner: propulsion", "channel: pressure", 24, "there are `channel` and `channels`", "keep one of them"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, line: int, what: str, do: str) -> None:
    """The first error names file, line and key, says what is wrong, and what was probably meant."""
    text = WHOLE.replace(old, new, 1)
    assert text != WHOLE
    with pytest.raises(ContractError) as refused:
        compiled("rules/burns.yaml", text, BURNS)
    said = refused.value
    assert said.what.startswith(f"rules/burns.yaml:{line}: "), said.what
    assert (what in said.what, do in said.do) == (True, True), (said.what, said.do)


@pytest.mark.parametrize(
    ("keys", "what", "do"),
    [
        ("detector: limit\n    channel: pressure", "warning: the rule has no limits", "warning: {high: 285}"),
        ("detector: limit\n    warning: {high: 1}", "channels: is missing", "one of channel_set, pressure"),
        ("detector: limit\n    channel: phase\n    warning: {high: 1}", "there is no channel `phase`", ""),
        (
            "detector: limit\n    channel: valve\n    unit: bar\n    warning: {high: 1}",
            "`valve` has no unit",
            "leave it out",
        ),
        (
            "detector: limit\n    channel: pressure\n    context: [{critical: {high: 1}}]",
            "is not a list of contexts",
            "when:",
        ),
        ("detector: rate_of_change\n    channel: pressure", "the rule has no limits", "a second"),
        (
            "detector: rate_of_change\n    channel: pressure\n    warning: {high: 1}\n    unit: bar",
            "bar cannot be",
            "same",
        ),
        (
            "detector: rate_of_change\n    channel: pressure\n    warning: {high: 1}\n    over: 0 s",
            "`0 s` is no time",
            "30 s",
        ),
        ("detector: stuck\n    channel: pressure", "for: is missing", "`30 s`"),
        ("detector: stuck\n    channel: pressure\n    for: 1 s\n    min_rows: 1", "1 is not a count from 2", ""),
        (
            "detector: stuck\n    channel: pressure\n    for: 1 s\n    siblings: [presure]",
            "siblings: there is no channel",
            "mean",
        ),
        (
            "detector: stuck\n    channel: pressure\n    for: 1 s\n    siblings: [pressure]",
            "cannot vouch for itself",
            "others",
        ),
        (
            "detector: stuck\n    channel: pressure\n    for: 1 s\n    unit: psi",
            "no `tolerance` that it is of",
            "leave it out",
        ),
        (
            "detector: stuck\n    channel: pressure\n    for: 1 s\n    tolerance: 1\n    siblings: [temperature]",
            "no unit in common: pressure [bar], temperature [degC]",
            "one rule for each",
        ),
        ("detector: no_data", "timeout: is missing", "`30 s`"),
        (
            "detector: no_data\n    timeout: 9 s\n    for: 1 s",
            "a rule of `no_data` has no `for`",
            "it has channel, channels, timeout",
        ),
        ("detector: expression", "when: is missing", "in SQL"),
        ("detector: expression\n    when: pressure", "when: `pressure` is a number, not true or false", "compare"),
        ("detector: expression\n    when: sum(pressure) > 1", "there is no function `sum` that judges one row", ""),
        ("detector: expression\n    when: valve > 1\n    severity: bad", "there is no severity 'bad'", "known: watch"),
        ("detector: expression\n    when: valve > 1\n    channels: [valve, pressure]", "one channel at most", ""),
    ],
)
def test_each_detector_has_its_keys(keys: str, what: str, do: str) -> None:
    """What a rule lacks, or has too much, for its detector is an error of its own."""
    with pytest.raises(ContractError) as refused:
        one(f"    {keys}\n")
    assert (what in refused.value.what, do in refused.value.do) == (True, True), (refused.value.what, refused.value.do)


def test_every_mistake_is_told_at_once() -> None:
    """Remarks come in the order of the file, and a sound rule beside a broken one does not hide it."""
    text = (
        WHOLE.replace("psi", "degC").replace("latch: true", "latch: 1")
        + "  - {name: b, detector: no_data, tiemout: 1 s}\n"
    )
    found, remarks = read_rules("rules/burns.yaml", text, BURNS)
    assert found is None
    assert sorted((one.line, one.field) for one in remarks) == [
        (10, "overpressure.unit"),
        (21, "overpressure.latch"),
        (25, "b.tiemout"),
        (25, "b.timeout"),
    ]


def test_two_rules_of_one_name() -> None:
    """A name stands for one rule of a stream's file."""
    text = WHOLE + "  - {name: overpressure, detector: no_data, timeout: 1 s}\n"
    with pytest.raises(ContractError, match=r"burns\.yaml:25: overpressure: there are two rules `overpressure`"):
        compiled("rules/burns.yaml", text, BURNS)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "a rules file has `stream`, `version` and `rules`"),
        ("- a", "a rules file has `stream`, `version` and `rules`"),
        ("stream: [", "not YAML"),
        ("stream: 5", "a rules file has `stream`"),
    ],
)
def test_a_file_that_is_none(text: str, what: str) -> None:
    """A text that names no stream is refused with its line."""
    with pytest.raises(ContractError, match=what):
        stream_of("rules/x.yaml", text)


def test_the_stream_of_a_file() -> None:
    """It can be read before its contract is known."""
    assert stream_of("rules/burns.yaml", WHOLE) == "burns"
    assert read_rules("rules/x.yaml", "stream: burns\nversion: 1\nrules: 5", BURNS)[0] is None


@pytest.mark.parametrize(
    ("text", "stream", "said"),
    [
        (WHOLE, "burns", []),
        (WHOLE.replace("latch: true", "latch: 1"), "burns", [("error", "overpressure.latch")]),
        (WHOLE.replace("deadband: 30", "deadband: 2000"), "burns", [("warning", "overpressure.deadband")]),
        ("stream: burnz\nrules: []", "burnz", [("warning", "stream")]),
        ("stream: broken\nrules: 5", "broken", []),
        ("rules: []", "", [("error", "")]),
        ("stream: [", "", [("error", "")]),
    ],
)
def test_a_file_is_judged_by_the_contract_of_its_stream(text: str, stream: str, said: list[tuple[str, str]]) -> None:
    """Errors and warnings; of rules for a stream that is not there, that; of one without a sound contract, nothing."""
    found, remarks = judged_rules("r.yaml", text, {"burns": BURNS, "broken": None})
    assert (found, [(one.level, one.field) for one in remarks]) == (stream, said)


def test_contract_limits_are_rules() -> None:
    """Each channel with limits has one, named after it, with its context and delays."""
    rules = {rule.name: rule for rule in contract_rules(ENGINES)}
    assert list(rules) == ["chamber_pressure.limit"]
    rule = rules["chamber_pressure.limit"]
    assert (rule.detector, rule.channels, rule.delays.min_violations) == ("limit", ("chamber_pressure",), 3)
    assert rule.levels == (Level("warning", None, 285.0), Level("critical", 40.0, 300.0))
    ((when, levels),) = rule.parameters["contexts"]
    assert (when, levels) == ("phase in ('standby', 'startup', 'shutdown')", (Level("critical", None, 320.0),))


def test_contract_limits_in_another_unit() -> None:
    """A limit of 100 psi on a channel in bar is 6.89 bar, and its deadband of 10 psi 0.689 bar."""
    limits = {"unit": "psi", "warning": {"high": 100}, "deadband": 10}
    columns = [replace(column, limits=limits) if column.name == "pressure" else column for column in BURNS.columns]
    (rule,) = contract_rules(replace(BURNS, columns=tuple(columns)))
    assert (rule.levels[0].high, rule.parameters["deadband"]) == (6.894757293168361, 0.6894757293168361)


def test_a_deadband_in_fahrenheit_has_no_zero() -> None:
    """A limit of 212 degF is 100 degC, a deadband of 9 degF is 5 degC."""
    rule = one(
        "    detector: limit\n    channel: temperature\n    unit: degF\n    warning: {high: 212}\n    deadband: 9\n"
    )
    assert (rule.levels[0].high, rule.parameters["deadband"]) == (100.0, 5.0)


def test_the_key_changes_with_what_decides() -> None:
    """Another limit is another key, under which nothing is remembered; another message or owner is not."""

    def key(high: int, rest: str = "") -> str:
        return one(f"    detector: limit\n    channel: pressure\n    warning: {{high: {high}}}\n    {rest}\n").key

    assert key(2).startswith("tried@")
    assert {key(2), key(2, "owner: mia"), key(2, "message: x"), key(2, "latch: true")} == {key(2)}
    others = ["for: 1 s", "deadband: 1", "while: valve > 1", "context: [{when: valve > 1, warning: {high: 3}}]"]
    assert len({key(2), key(3), *(key(2, other) for other in others)}) == 6


def test_every_detector_has_a_form() -> None:
    """Detectors and forms are the same list, and no form takes a key that every rule has."""
    assert list(FORMS) == list(DETECTORS)
    for form in FORMS.values():
        assert len({*form.keys, *COMMON}) == len(form.keys) + len(COMMON)
    assert {*SEVERITIES} <= {*FORMS["limit"].keys} & {*FORMS["rate_of_change"].keys}


def test_a_deadband_without_room_is_warned_of() -> None:
    """The rule can be used; a condition that hardly returns is probably not meant."""
    file, remarks = read_rules("r.yaml", WHOLE.replace("deadband: 30", "deadband: 2000"), BURNS)
    assert file is not None
    assert [(one.line, one.level) for one in remarks] == [(13, "warning")]
