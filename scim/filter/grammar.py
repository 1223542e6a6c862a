"""The grammar of filters and PATCH paths (RFC 7644 §3.4.2.2, §3.5.2): scim2-filter-parser, hardened.

Its lexer reads one digit, no JSON string escapes, and ``true`` as a prefix of ``trueName``. Its parser gives ``or`` and
``and`` one precedence. Subclasses mend both. Its SQL generator drops unknown terms and is never used. Tokens carry
Python values, so that ``"true"`` and ``true`` differ.
"""

# mypy: ignore-errors
# ruff: noqa: F821, N802
import json
from decimal import Decimal
from typing import Any

from scim2_filter_parser import ast
from scim2_filter_parser.lexer import SCIMLexer
from scim2_filter_parser.parser import SCIMParser, SCIMParserError

from identity.model.query import MARKS_MAX, UNSTORABLE, has_too_many_marks
from scim.errors import ScimType, refuse
from scim.limits import FILTER_CHARACTERS_MAX, FILTER_DEPTH_MAX, FILTER_TERMS_MAX

OPENING, CLOSING = frozenset({"LPAREN", "LBRACKET"}), frozenset({"RPAREN", "RBRACKET"})
TERMS = frozenset({"EQ", "NE", "CO", "SW", "EW", "GT", "GE", "LT", "LE", "PR"})


class Lexer(SCIMLexer):
    """Tokens with Python values: str, bool, None, int, Decimal."""

    tokens = SCIMLexer.tokens
    ignore = " \t"

    @_(r"(?i:false)(?![a-zA-Z0-9_$:-])")  # a whole word
    def FALSE(self, t):
        t.value = False
        return t

    @_(r"(?i:true)(?![a-zA-Z0-9_$:-])")  # a whole word
    def TRUE(self, t):
        t.value = True
        return t

    @_(r"(?i:null)(?![a-zA-Z0-9_$:-])")  # a whole word
    def NULL(self, t):
        t.value = None
        return t

    @_(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?(?![a-zA-Z0-9_$.:-])")
    def NUMBER(self, t):
        t.value = Decimal(t.value)
        return t

    @_(r"(?<![\s\[(])\.[a-zA-Z$][a-zA-Z0-9_$-]*")  # right behind what it is a part of
    def SUBATTR(self, t):
        t.value = t.value[1:]
        return t

    @_(r'[a-zA-Z][a-zA-Z0-9+.-]*:[^\s"()\[\]]*:(?=[a-zA-Z$])')  # right before an attribute
    def SCHEMA_URI(self, t):
        t.value = t.value[:-1]
        return t

    @_(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
    def COMP_VALUE(self, t):
        t.value = json.loads(t.value)
        return t

    def error(self, t):
        raise ValueError("the filter or path contains a character that is not allowed")


class FilterParser(SCIMParser):
    """``not`` binds tighter than ``and``, ``and`` tighter than ``or`` (RFC 7644 §3.4.2.2)."""

    # sly inherits no rules: they must be in the body of the subclass.
    locals().update({
        name: rule for name, rule in vars(SCIMParser).items() if hasattr(rule, "rules") or name in ("tokens", "error")
    })  # fmt: skip
    precedence = (("left", "OR"), ("left", "AND"), ("right", "NOT"))


def guarded(tokens):
    """Yield tokens within the limits. Raises ``ValueError`` at the first one beyond, before the parser allocates."""
    depth = terms = 0
    before = None
    for token in tokens:
        if before == "SUBATTR" and token.type == "LBRACKET":
            # The parser takes it for the other order.
            raise ValueError("a value filter must follow an attribute, not a sub-attribute")
        before = token.type
        depth += (token.type in OPENING) - (token.type in CLOSING)
        terms += token.type in TERMS
        if depth > FILTER_DEPTH_MAX:
            raise ValueError(f"brackets must be nested at most {FILTER_DEPTH_MAX} deep")
        if terms > FILTER_TERMS_MAX:
            raise ValueError(f"a filter or path must have at most {FILTER_TERMS_MAX} comparisons")
        if isinstance(token.value, str) and UNSTORABLE.search(token.value):
            raise ValueError("a value contains a character that is not allowed")
        if isinstance(token.value, str) and has_too_many_marks(token.value):
            raise ValueError(f"a filter or path must have at most {MARKS_MAX} combining marks in a row")
        yield token


def parse(text: str, scim_type: ScimType) -> Any:
    """Return the syntax tree of a filter. Raises ``InvalidRequest`` (``scim_type``)."""
    if len(text) > FILTER_CHARACTERS_MAX:
        refuse(scim_type, f"a filter or path must have at most {FILTER_CHARACTERS_MAX} characters")
    try:
        tree = FilterParser().parse(guarded(Lexer().tokenize(text)))
    except (ValueError, ArithmeticError) as error:
        refuse(scim_type, "a string must be valid JSON" if isinstance(error, json.JSONDecodeError) else str(error))
    except (SCIMParserError, AttributeError, TypeError):  # the actions of the grammar raise the latter two
        refuse(scim_type, "a filter or path must match the grammar of RFC 7644 section 3.4.2.2")
    if tree is None:
        refuse(scim_type, "a filter or path must not be empty")
    return tree


def parse_attribute_path(text: str, scim_type: ScimType, *, has_selection: bool = False) -> Any:
    """Return the syntax tree of an attribute path, or None for any other text that the grammar has.

    With ``has_selection``, a path may have a value filter: ``attr_name`` is an ``ast.Filter`` then. Raises
    ``InvalidRequest`` (``scim_type``).
    """
    tree = parse(text + " pr", scim_type)
    if tree.negated or tree.namespace is not None or not isinstance(tree.expr, ast.AttrExpr):
        return None
    path = tree.expr.attr_path
    is_path = tree.expr.value == "pr" and (has_selection or not isinstance(path.attr_name, ast.Filter))
    return path if is_path else None
