"""Keeps secrets from being shown: a text that nothing prints by accident, and foreign texts without what looks like one."""

from __future__ import annotations

import re
from itertools import pairwise


class Secret:
    """Holds a secret; shows, prints, formats and pickles as asterisks. `reveal()` is the one way to the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself, for the one call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, ("***",)


def redacted(text: str) -> str:
    """`text` with `***` where it holds, or seems to hold, a secret.

    What is named as one goes with all that follows it up to the next space, closing quote or closing bracket; what looks
    like one goes unnamed. In doubt it goes. The time it takes grows linearly with the text.
    """
    with_aws_key = _AWS_KEY.search(text) is not None
    for pattern in _UNNAMED:
        text = pattern.sub(_ASTERISKS, text)
    text = _RUN.sub(lambda run: _ASTERISKS if with_aws_key or _is_random(run[0]) else run[0], text)
    for pattern in _NAMED:
        text = pattern.sub(r"\g<name>" + _ASTERISKS, text)
    return text


def _is_random(run: str) -> bool:
    """Whether a long run of letters and digits is a key and not a path, an identifier or a list of UUIDs.

    Keys change between letters and digits, or between cases, more often than names that people make up.
    """
    rest = _UUID.sub("", run)
    kinds = [0 if each.isdigit() else 1 if each.isupper() else 2 if each.islower() else None for each in rest]
    switches = [pair for pair in pairwise(kinds) if None not in pair and pair[0] != pair[1]]
    numbered = sum(0 in switch for switch in switches)
    return numbered >= max(4, len(rest) / 10) or len(switches) >= max(15, 0.4 * len(rest)) or bool(_HEX.search(rest))


_ASTERISKS = "***"

_AWS_KEY = re.compile(r"(?:AKIA|ASIA)[A-Z0-9]{12,}")
# Before all others come those that hold spaces.
_UNNAMED = (
    re.compile(r"(?s)-----BEGIN[^-]{1,40}-----.*?(?:-----END[^-]{1,40}-----|\Z)"),
    re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,4}"),  # JSON Web Tokens, and those that are encrypted
    re.compile(r"(?i)(?:dapi|dose|dkea)[0-9a-f]{8,}(?:-[0-9]{1,2})?"),  # Databricks
    _AWS_KEY,
    # GitLab, Google, Stripe, GitHub, Slack; Hugging Face, whose folders and functions are called hf_ as well.
    re.compile(
        r"(?<![A-Za-z0-9])(?:(?:glpat-|AIza|[rs]k_(?:live|test)_|github_pat_|gh[oprsu]_|xox[a-z]-)[\w-]{10,}"
        r"|hf_[A-Za-z0-9]{20,})"
    ),
    # A user and a password before a host. A password may hold a slash; what stands between a colon and one may be a port.
    re.compile(r"""(?<=://)[^\s/?#:@]{0,256}:(?!\d{1,5}[/?#,;)\]"'])\S{1,512}(?=@)"""),
    # A token before a host: a container before a storage account is none, nor is an endpoint of Spark's own.
    re.compile(r"(?i)(?<=://)(?<!(?:abfss|wasbs|spark)://)(?<!(?:abfs|wasb)://)[^\s/?#;]{1,512}(?=@)"),
    re.compile(r"(?i)(?<=:thin:)[^\s/@]{1,128}/[^\s@]{1,256}(?=@)"),  # Oracle's
)

# As long as the shortest keys that have no name or form of their own: hexadecimal SHA-1, AWS.
_RUN = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{40,}={0,2}")
_HEX = re.compile(r"(?i)[0-9a-f]{40}")
_UUID = re.compile(r"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")

# The end of a name, a quote that closes it, and what stands between a name and its value: a field or a tag that is called
# `value`; `=`, `: `, `":"`, ` -> `, `%3D`; `>` of a tag; `,` of a tuple; or a space where the value is in quotes.
_IS = (
    r"""[\w.-]{0,64}(?![\w.])[\\"'`\]]{0,4}"""
    r"""(?:(?:</\w{1,16}>)?[^\w{\[:=]{1,16}value[\\"']{0,4}(?:\s{0,3}[=:]\s{0,3}|>)"""
    r"""|\s{0,3}(?:[=:]{1,2}>?|->|%3[ad])\s{0,3}|>|,(?=\S)|(?<=["']),\s{1,3}|\s{1,3}(?=["']))"""
)
# Values of several words: all that follows on the line.
_LINE = r"(?:authorization|cookie|jaas\.config)(?!\w{0,64}Exception)"
# An exception is no name, though it may be called InvalidTokenException.
_NAME = (
    r"(?:password|passphrase|passwd|passcode|pwd|secret|token|credential|signature"
    r"|(?:access|account|api|private|encryption|master|signing|storage)[ _.-]?key"
    r"|(?<![a-z])(?:pass|sas|sig)(?![a-z]))"
    r"(?![\w.$]{0,64}(?:Exception|Error))"
)
# Up to a closing tag, quote (SQL doubles those inside), brace (SQL Server doubles those inside) or bracket, or to the next
# space. None of them may fail where nothing closes it, nor may anything follow: the time would no longer grow linearly.
_VALUE = (
    r"""(?:(?<=[\w"']>)[^<]*(?:<(?!/)[^<]*)*(?:</[\w.:-]{1,64}>)?"""
    r"""|\\{0,3}"(?:[^"\\]|""|\\.)*|\\{0,3}'(?:[^'\\]|''|\\.)*"""
    r"|\{(?:[^{}]+|\{[^{}]*\}?|\}\}(?=\w))*\}?\S*|\[(?:[^\[\]]+|\[[^\[\]]*\]?)*\]?\S*"
    r"|\S+)"
)
_NAMED = (
    re.compile(rf"(?i)(?P<name>{_LINE}{_IS})[^\n]+"),
    re.compile(r"(?i)(?P<name>\b(?:bearer|basic)\s{1,3})[\w+/.~=-]{6,}"),
    # A comma and a space may be prose, where one word is lost: above it would be the rest of the line.
    re.compile(rf"(?i)(?P<name>{_NAME}(?:{_IS}|[\w.-]{{0,64}},\s{{1,3}})){_VALUE}"),
    # A program's option, and its value as the next word.
    re.compile(rf"(?i)(?P<name>(?<![\w.-])--?[\w.-]{{0,64}}?(?:{_LINE}|{_NAME})[\w.-]{{0,64}}\s{{1,3}}){_VALUE}"),
)
