"""What failures of other servers taught is held here: by name for the SCIM edge, and by the source where it must be."""

import ast
import re

import pytest

from tests.house.sources import ROOMS, Source, sources

REQUIREMENTS = {
    "S1": "an externalId is the source's own and never a key to one of ours",
    "S2": "the URL says who is meant, whatever id the body has",
    "S3": "what is read-only is not written: by a path, without one, with a URN, in capitals, in a Bulk",
    "S4": "a remove of members by value removes those",
    "S5": "a filter and an order tell nothing that the caller may not read",
    "S6": "every limit is enforced before the work, and is the one that is advertised",
    "S7": "a list costs a fixed number of statements",
    "S8": "a filter means what the standard says, and what is no filter never means everything",
    "S9": "no value of a filter means anything to LIKE or SQL",
    "S10": "every route is authorised where it matches, however its path is spelled",
    "S11": "the tenant is the credential's, and the path's must be the same",
    "S12": "an id that was used is never used again, nor chosen by a client",
    "S13": "nobody is adopted by address or name across sources",
    "S14": "a create that is sent again after a lost answer makes one resource, and leads to it",
    "S15": "whom an administrator protects, and what another source made, no source changes",
    "S16": "a group is its id, never its name",
    "S17": "a secret is write-only everywhere",
    "S18": "of two changes from one version, one is done",
    "S19": "a Bulk is bounded, ends at its errors, ends its circles, and is authorised operation by operation",
    "S20": "every route says who may ask it",
    "S21": "no code or expression of a tenant is ever run",
}

MARK = re.compile(r'pytest\.mark\.requirement\("(\w+)"\)\n(?:@[^\n]*\n|[ )\]][^\n]*\n)*def (test_\w+)')


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_requirement_has_a_test(name: str) -> None:
    held = [test for source in sources("tests") for found, test in MARK.findall(source.text) if found == name]
    assert held, f"{name}: {REQUIREMENTS[name]}"


def test_no_test_holds_a_requirement_that_nobody_wrote_down() -> None:
    named = {found for source in sources("tests") for found, _ in MARK.findall(source.text)}
    assert named - REQUIREMENTS.keys() == set()


RUNNERS = {"eval", "exec", "compile", "__import__", "render_template_string", "Template", "Environment", "format_map",
           "from_string", "literal_eval", "getattr_static"}  # fmt: skip
LOADERS = {"pickle", "marshal", "shelve", "jinja2", "yaml", "mako", "dill", "cloudpickle", "simpleeval", "asteval"}


def runs_code(source: Source) -> list[str]:
    """Every place where a text could become code."""
    found = [name for name in source.imports() if name.split(".")[0] in LOADERS]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) if name in RUNNERS:
                    found.append(f"{name} in line {node.lineno}")
                case ast.Attribute(attr=name, value=ast.Name(id=owner)) if name in RUNNERS and owner != "re":
                    found.append(f"{owner}.{name} in line {node.lineno}")
    return found


@pytest.mark.requirement("S21")
def test_nothing_in_the_house_runs_what_it_reads() -> None:
    rooms = [room for room in ROOMS if room not in ("examples", "benchmarks")]
    assert {source.path: runs for source in sources(*rooms) if (runs := runs_code(source))} == {}


@pytest.mark.parametrize(
    "text",
    ["eval(x)", "exec(x)", "import pickle", "from jinja2 import Template", "flask.render_template_string(x)"],
)
def test_what_would_run_it_is_found(text: str) -> None:
    assert runs_code(Source("x.py", text, ast.parse(text)))
