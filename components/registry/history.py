"""Who was champion when, and why: a list that is only added to.

MLflow has no transactions. So every promotion and rollback adds one tag of its own to the registered model, which nobody else
writes, and who is champion follows from all of them in their order. Then the alias is set to that. Of two that come at once each
sets it until it agrees with the list, so that in the end both have taken place, in the order of the list.
"""

import getpass
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

PREFIX = "visage.champion."
"""Begins the name of the tag of an entry; a number follows, one higher than all that were there, and something random."""

_WHY = 2000
"""Letters of a reason that are kept: MLflow's databases hold 5,000 of a registered model's tag, and a quote takes two."""

PROMOTED, ROLLED_BACK = "promoted", "rolled back"


@dataclass(frozen=True)
class Entry:
    """One line of the list.

    Attributes:
        key: name of its tag; the lines are in the order of the keys.
        what: `PROMOTED` or `ROLLED_BACK`.
        version: that was promoted, or that was champion again.
        steps: how many champions a rollback goes back: more than one where those between were deleted.
        instead_of: it is champion only if this version was it until then (empty: if there was none); None: in any case.
        when: UTC, ISO 8601.
        who: name of the account.
        why: for people.
        done: whether the alias has been set since.
    """

    key: str
    what: str
    version: str = ""
    steps: int = 1
    instead_of: str | None = None
    when: str = ""
    who: str = ""
    why: str = ""
    done: bool = False

    def text(self) -> str:
        """The value of the tag."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "key"}, ensure_ascii=False)


def entries(tags: Mapping[str, str]) -> list[Entry]:
    """The list, from the tags of a registered model."""
    return [Entry(key, **json.loads(tags[key])) for key in sorted(tags) if key.startswith(PREFIX)]


def champions(listed: Iterable[Entry]) -> list[str]:
    """The versions that follow from the list: the champion last, before it the one that a rollback goes back to, and so on."""
    stack: list[str] = []
    for entry in listed:
        before = stack[-1] if stack else ""
        if entry.what == ROLLED_BACK:
            del stack[max(len(stack) - entry.steps, 1) :]
        elif entry.instead_of in (None, before) and entry.version != before:
            stack.append(entry.version)
    return stack


def append(client: Any, name: str, entry: Entry) -> Entry:
    """Add an entry of this moment, and give it with its key, time and account."""
    listed = entries(client.get_registered_model(name).tags)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    why = entry.why if len(entry.why) <= _WHY else f"{entry.why[: _WHY - 1]}…"
    entry = replace(entry, key=f"{_next(listed)}-{uuid.uuid4().hex[:8]}", when=now, who=account(), why=why)
    client.set_registered_model_tag(name, entry.key, entry.text())
    return entry


def settle(client: Any, name: str, alias: str, entry: Entry, existing: Sequence[str]) -> None:
    """Set the alias to the champion that follows from the list, as often as it takes while others do the same.

    Args:
        client: of MLflow.
        name: of the registered model.
        alias: to be set.
        entry: that was added.
        existing: versions that were not deleted.
    """
    while True:
        model = client.get_registered_model(name)
        champion = next((version for version in reversed(champions(entries(model.tags))) if version in existing), None)
        if champion is None or str(model.aliases.get(alias)) == champion:
            break
        client.set_registered_model_alias(name, alias, champion)
    client.set_registered_model_tag(name, entry.key, replace(entry, done=True).text())


def adopt(client: Any, name: str, alias: str, before: Sequence[str]) -> None:
    """Enter what happened beside the list: champions from before there was one, or an alias that was moved in MLflow.

    Two that find the same enter the same. While the last entry is not done its alias is still to be set, and nothing is amiss.

    Args:
        client: of MLflow.
        name: of the registered model.
        alias: that makes a version champion.
        before: the champions before the one that has it now, the last one first, as versions remembered them before there was
            a list.
    """
    model = client.get_registered_model(name)
    listed, alias_version = entries(model.tags), model.aliases.get(alias)
    if not alias_version:
        return
    if not listed:
        for number, version in enumerate([*reversed(before), str(alias_version)], 1):
            entry = Entry(f"{PREFIX}{number:06}", PROMOTED, version, why="before there was this list", done=True)
            _enter_once(client, name, entry)
    elif listed[-1].done and champions(listed)[-1:] != [str(alias_version)]:
        entry = Entry(
            f"{_next(listed)}-moved", PROMOTED, str(alias_version), why="the alias was moved in MLflow", done=True
        )
        _enter_once(client, name, entry)


def _enter_once(client: Any, name: str, entry: Entry) -> None:
    """Enter a line that another process may enter too at this moment: MLflow's store refuses the second of two new tags."""
    from mlflow.exceptions import MlflowException

    try:
        client.set_registered_model_tag(name, entry.key, entry.text())
    except MlflowException:
        if client.get_registered_model(name).tags.get(entry.key) != entry.text():
            raise


def _next(listed: Sequence[Entry]) -> str:
    """The beginning of the next key."""
    numbers = [int(entry.key[len(PREFIX) :].partition("-")[0]) for entry in listed]
    return f"{PREFIX}{max(numbers, default=0) + 1:06}"


def account() -> str:
    """Name of the account that this runs in; empty where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose account has no name
        return ""
