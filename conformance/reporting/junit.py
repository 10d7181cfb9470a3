"""A report as JUnit XML, for the CI of others: a suite an implementation, a testcase a check.

And one a waiver, which fails where the waiver is no longer true. Nothing is judged here.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

# What no document of XML may hold; what is judged may say anything.
_BARRED = re.compile(r"[^\t\n\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
# By outcome of a check, the element that says so.
_ELEMENTS = {
    "waived": "skipped",
    "refused": "skipped",
    "not claimed": "skipped",
    "not run": "error",
}


def junit(document: Mapping[str, Any]) -> str:
    """Give the XML of a document."""
    root = ElementTree.Element("testsuites", name="refimpl")
    for one in document["implementations"]:
        suite = ElementTree.SubElement(root, "testsuite", name=_clean(one["name"]))
        cases = [*_checks(one), *_waivers(one)]
        suite.extend(cases)
        for plural, element in (("failures", "failure"), ("errors", "error")):
            suite.set(plural, str(sum(case.find(element) is not None for case in cases)))
        suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
        suite.set("tests", str(len(cases)))
        suite.set("time", f"{one['seconds']:.3f}")
        suite.set("timestamp", document["written"])
        properties = ElementTree.Element("properties")
        shown = {name: one[name] for name in ("kind", "verdict", "seed", "environment")}
        for name, value in {"specification": document["specification"], **shown}.items():
            ElementTree.SubElement(properties, "property", name=name, value=_clean(str(value)))
        suite.insert(0, properties)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _checks(one: Mapping[str, Any]) -> Iterator[ElementTree.Element]:
    messages: dict[str, list[Mapping[str, Any]]] = {}
    for failure in one["failures"]:
        messages.setdefault(failure["check"], []).append(failure)
    for check in one["checks"]:
        case = _case(one["name"], check["check"], check["seconds"])
        if check["outcome"] == "failed":
            own = messages.get(check["check"], [])
            said = f"{own[0]['clause']}: {own[0]['words']}" if own else "failed"
            element = ElementTree.SubElement(case, "failure", message=_clean(said))
            element.text = _clean("\n\n".join(failure["message"] for failure in own))
        elif check["outcome"] in _ELEMENTS:
            said = f"{check['outcome']}: {check['reason']}"
            ElementTree.SubElement(case, _ELEMENTS[check["outcome"]], message=_clean(said))
        yield case


def _waivers(one: Mapping[str, Any]) -> Iterator[ElementTree.Element]:
    for waiver in one["waivers"]:
        case = _case(one["name"], f"waiver of {waiver['clause']} ({waiver['condition']})", 0.0)
        if waiver["fault"]:
            ElementTree.SubElement(case, "failure", message=_clean(waiver["fault"]))
        elif waiver["untried"]:
            ElementTree.SubElement(case, "skipped", message=_clean(waiver["untried"]))
        yield case


def _case(name: str, check: str, seconds: float) -> ElementTree.Element:
    return ElementTree.Element(
        "testcase", classname=_clean(name), name=_clean(check), time=f"{seconds:.3f}"
    )


def _clean(words: str) -> str:
    return _BARRED.sub(lambda one: one[0].encode("unicode_escape").decode(), words)
