"""Read Mosquitto's password and access files, for amqtt."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from iotplatform.common.broker_rights import covers, matches
from registry.device_secrets import verify_secret


@dataclass
class Rights:
    """The password file and access list of one listener; reread when they change."""

    password_file: Path
    access_file: Path
    _seen: tuple[int, ...] = ()
    verifiers: dict[str, str] = field(default_factory=dict)
    # (user or "" for a pattern, "read" | "write" | "readwrite", filter)
    _rules: list[tuple[str, str, str]] = field(default_factory=list)

    def refresh(self) -> bool:
        """Reread both files if one has changed; return whether one has."""
        stats = [path.stat() for path in (self.password_file, self.access_file)]
        seen = tuple(value for s in stats for value in (s.st_ino, s.st_mtime_ns))
        if seen == self._seen:
            return False
        self._seen = seen
        lines = self.password_file.read_text().splitlines()
        self.verifiers = dict(line.split(":", 1) for line in lines if ":" in line)
        self._rules = _read_rules(self.access_file.read_text())
        return True

    def admits(self, user: str, secret: str) -> bool:
        verifier = self.verifiers.get(user)
        return verifier is not None and verify_secret(secret, verifier)

    def may_write(self, user: str, topic: str) -> bool:
        wanted = topic.split("/")
        return any(matches(f, wanted) for f in self._filters(user, "write"))

    def may_read(self, user: str, topic: str) -> bool:
        wanted = topic.split("/")
        return any(matches(f, wanted) for f in self._filters(user, "read"))

    def may_subscribe(self, user: str, topic_filter: str) -> bool:
        """Whether the user may read every topic that the filter can match."""
        wanted = topic_filter.split("/")
        return any(covers(f, wanted) for f in self._filters(user, "read"))

    def _filters(self, user: str, access: str) -> list[list[str]]:
        return [
            topic.replace("%u", user).split("/")
            for who, what, topic in self._rules
            if access in what and who in ("", user)
        ]


def _read_rules(text: str) -> list[tuple[str, str, str]]:
    rules = []
    user = ""
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "user":
            user = rest
        elif word in ("topic", "pattern"):
            access, _, topic = rest.partition(" ")
            rules.append(("" if word == "pattern" else user, access, topic))
    return rules
