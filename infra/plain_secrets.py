"""Texts that look like a secret: no file, plan, state or message holds one in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAME = re.compile(
    # MAX_TOKENS and TOKENIZERS_PARALLELISM are none.
    r"(token|secret|passw(or)?d|pwd|passphrase|credentials?|private)(_|$)|(api|access)_?key(_|$)"
    r"|(^|_)(pat|auth|authorization|bearer|jwt|dsn|sas|webhook|connection_?string)(_ur[il])?$",
    re.IGNORECASE,
)
_FORM = re.compile(
    r"(?<![\w-])(hf_\w{10}|sk-(?=[\w-]*\d)[\w-]{16}|[sr]k_live_\w{10}|(dapi|dose)[0-9a-f]{10}|gh[pousr]_\w{10}"
    r"|github_pat_\w{10}|glpat-[\w-]{10}|xox[a-z]-[\w-]{8}|xapp-[\w-]{8}|(AKIA|ASIA)[0-9A-Z]{10}"
    r"|AIza[\w-]{30}|npm_\w{30}|pypi-\w{30}|eyJ[\w-]{10,}\.)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^/\s@:]*:[^/\s@]+@|://[^/\s@:]{20,}@"
    r"|hooks\.slack\.com/services/|discord(app)?\.com/api/webhooks/|\.webhook\.office\.com/"
    r"|(?i:\b(bearer|basic)\s+(?=\S*\d)[\w.~+/=-]{6})"
    r"|(?i:(?<![\w-])-{0,2}(D[\w.]*)?(password|passwd|pwd|token|access_token|secret|client_secret"
    r"|sig|api[_-]?key|access[_-]?key|accountkey|sharedaccesskey)\s*=\s*[^\s&;])"
)
_REFERENCE = re.compile(r"\{\{secrets/[\w.@-]+/[\w.@-]+\}\}")
_KEY = re.compile(r"_key(_|$)|^key$", re.IGNORECASE)
"""For variables alone: tags may well be called so."""
_NOTHING = frozenset({"", "true", "false", "yes", "no", "on", "off", "none", "0", "1"})
"""Values that are no secret, whatever their name."""
_USERINFO = re.compile(r":\S*@")


def called_secret(name: str, value: str) -> bool:
    """Return True when a name says that the value is a secret."""
    words = re.sub(r"\W", "_", name)
    return bool(_NAME.search(words)) and value.lower() not in _NOTHING


def holds_secret(value: str) -> bool:
    """Return True when a text is or holds a secret: a key, a URL with a password."""
    return bool(_FORM.search(value))


def secret_variable(name: str, value: str) -> bool:
    """Return True when a variable is a secret in plain text, not a reference to one."""
    if _REFERENCE.fullmatch(value):
        return False
    by_name = bool(_KEY.search(name)) or called_secret(name, value)
    return "{{" in value or by_name or holds_secret(value)


def may_be_shown(value: str) -> bool:
    """Return True when a message may repeat a text that was wrong."""
    return not (holds_secret(value) or _USERINFO.search(value))


def shown(text: str) -> str:
    """A text for a message: itself, unless it may not be repeated."""
    return text if may_be_shown(text) else "(not shown)"


def texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Each text in nested tables and lists, with its dotted key."""
    return ((place, leaf) for place, leaf in leaves(value, key) if isinstance(leaf, str))


def leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Yield the values in nested tables and lists, with their dotted keys."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{key}.{place}")
    else:
        yield key, value
