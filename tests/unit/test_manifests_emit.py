"""YAML that every reader understands alike."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from drkit.manifests.emit import emit

_DOUBTFUL = [
    *("no", "No", "NO", "y", "Y", "n", "on", "off", "yes", "true", "True", "false", "null", "Null", "~", "", " ", "\t"),
    *("1e3", "1E3", "1e+3", "1_000", "0x10", "0o17", "017", "0b1", "12:30", "190:20:30", ".5", "1.", ".inf", ".NaN"),
    *("-.inf", "2001-12-14", "2001-12-14t21:59:43.10-05:00", "=", "<<", "-", "- a", "? a", ": a", "a: b", "a #b", "#a"),
    *(
        "a:",
        "a:b",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a`",
        "'a'",
        '"a"',
        "[a]",
        "{a}",
        "a,b",
        "---",
        "...",
        "+1",
    ),
    *(
        " a",
        "a ",
        "\na",
        "a\n",
        "a\n\n",
        "a\nb",
        "a\n b\n",
        " a\nb",
        "a\n\tb",
        "\ta\nb",
        "a\n  ",
        "a \nb",
        "a\n\n\nb\n",
    ),
    *(
        "a\n#b",
        "a\n---\nb",
        "a\n...\n",
        "a\r\nb",
        "a\rb",
        "a\x85b",
        "a\u2028b",
        "\ufeffa",
        "a\x00b",
        "a\x7fb",
        "\x1b[0m",
    ),
    *(
        "ä",
        "😀",
        "日本\n語\n",
        "\ud800",
        "\ufffe",
        "a\tb",
        "\\",
        "\\n",
        "/",
        "//",
        "10Gi",
        "500m",
        "1h",
        "1M",
        "e3",
        "x",
    ),
    "a" * 5000 + "\n" + "b c" * 5000,
]

_texts = st.one_of(
    st.sampled_from(_DOUBTFUL),
    st.text(max_size=20),
    st.text(alphabet="ab1e.:-_ #\n\t'\"0xNOno~", max_size=12),
)
_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64),
        st.floats(allow_nan=False, allow_infinity=False),
        _texts,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_texts, inner, max_size=4)),
    max_leaves=20,
)


def _read_by_1_1(text: str) -> Any:
    return yaml.load(text, Loader=yaml.SafeLoader)


def _read_by_1_2(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(io.StringIO(text))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_texts, _values, min_size=1, max_size=5))
@example({"key" * 500: {"a": [[], {}, [[1, [2]], {"a\nb": "c\nd"}], "x\ny"]}})
def test_what_was_written_is_read_back(value: dict[str, Any]) -> None:
    """Any value that JSON has comes back from a reader of YAML 1.1 and from one of 1.2, with its types."""
    text = emit(value)
    for found in (_read_by_1_1(text), _read_by_1_2(text)):
        assert found == value
        assert _types(found) == _types(value)


def _types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _types(item) for key, item in value.items()}
    return [_types(item) for item in value] if isinstance(value, list) else type(value)


@pytest.mark.parametrize("text", _DOUBTFUL)
def test_doubtful_text_stays_text(text: str) -> None:
    """What some reader takes for a number, a date or a truth is text still, as a key, a value and in a list."""
    value = {text: text, "list": [text, [text, {text: text}]]}
    written = emit(value)
    assert _read_by_1_1(written) == value
    assert _read_by_1_2(written) == value


@pytest.mark.parametrize("number", [0.0, -0.0, 1e16, 1e-7, 1.5, 1e300, 5e-324, 123456789.125, -1e22])
def test_numbers_stay_numbers(number: float) -> None:
    """A number with an exponent is one to both readers."""
    written = emit({"a": number})
    for found in (_read_by_1_1(written)["a"], _read_by_1_2(written)["a"]):
        assert isinstance(found, float)
        assert math.copysign(1, found) == math.copysign(1, number)
        assert found == number


def test_it_reads_well() -> None:
    """Keys are sorted, ordinary words are bare, and a text of several lines stands as it is."""
    obj = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "no"}},
        "data": {"Corefile": ".:53 {\n    errors\n}\n", "empty": "", "version": "1.10"},
        "list": [{"image": "docker.io/a/b:1.2", "args": ["--a=b", "c d"], "limits": {"memory": "10Gi"}}, [1, [2.5]]],
    }
    assert emit(obj) == (
        "apiVersion: v1\n"
        "data:\n"
        "  Corefile: |\n"
        "    .:53 {\n"
        "        errors\n"
        "    }\n"
        '  empty: ""\n'
        '  version: "1.10"\n'
        "kind: ConfigMap\n"
        "list:\n"
        "- args:\n"
        '  - "--a=b"\n'
        "  - c d\n"
        "  image: docker.io/a/b:1.2\n"
        "  limits:\n"
        "    memory: 10Gi\n"
        "- - 1\n"
        "  - - 2.5\n"
        "metadata:\n"
        "  labels:\n"
        '    app.kubernetes.io/name: "no"\n'
        "  name: a\n"
    )


def test_what_is_nested_too_deep_is_an_error() -> None:
    """A hostile object ends in an error and not in the interpreter's end."""
    value: dict[str, Any] = {}
    for _ in range(5000):
        value = {"a": value}
    with pytest.raises(RecursionError):
        emit(value)
