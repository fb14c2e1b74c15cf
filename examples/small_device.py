"""The core of a small device: which command runs, and what is answered. No network.

It runs on MicroPython and on Python: no classes of a library, no dynamic memory beyond
one message, a file of fixed size. It keeps the last command ids in a ring; each slot
is written in place, so flash wears evenly. Give every message of the platform to
``command`` or ``configure``, and publish what they yield, in this order, before you ask
for the next: ("command/{id}/ack", {...}), ("command/{id}/result", {...}).
"""

import json
import os

SLOTS = 32  # commands that it remembers
SLOT_BYTES = 64  # an id has 36 characters
# What is known of an id: it has begun, it is done, or it failed.
BEGUN, DONE, FAILED = "b", "d", "f"


class Ring:
    """The last command ids with their ends, in a file of fixed size."""

    def __init__(self, path):
        self.path = path
        self.number = 0  # of the next command
        self.ends = {}  # id -> [slot, end, number]
        try:
            os.stat(path)
        except OSError:
            with open(path, "wb") as file:
                file.write(b" " * (SLOTS * SLOT_BYTES))
        self.load()

    def load(self):
        with open(self.path, "rb") as file:
            for slot in range(SLOTS):
                words = file.read(SLOT_BYTES).split()
                # A slot whose writing was cut off may lack its mark. It may also
                # have a mixture of two ids, which nobody asks for.
                if len(words) == 4 and words[3] == b".":
                    number = int(words[0])
                    self.ends[words[1].decode()] = [slot, words[2].decode(), number]
                    self.number = max(self.number, number + 1)

    def end_of(self, command_id):
        found = self.ends.get(command_id)
        return found[1] if found else None

    def begin(self, command_id):
        """Store a new id in the place of the oldest one, before anything happens."""
        slot = self.number % SLOTS
        for old in list(self.ends):
            if self.ends[old][0] == slot:
                del self.ends[old]
        self.ends[command_id] = [slot, BEGUN, self.number]
        self.number += 1
        self.write(command_id)

    def finish(self, command_id, end):
        self.ends[command_id][1] = end
        self.write(command_id)

    def write(self, command_id):
        slot, end, number = self.ends[command_id]
        text = f"{number} {command_id} {end} ."
        data = text.encode()
        with open(self.path, "r+b") as file:
            file.seek(slot * SLOT_BYTES)
            file.write(data + b" " * (SLOT_BYTES - len(data)))
            file.flush()
        if hasattr(os, "sync"):
            os.sync()


class Core:
    """Decides what a device does; ``actions`` maps a name to a function of params.

    An action returns nothing, or the code of its failure.
    """

    def __init__(self, actions, path, config):
        self.actions = actions
        self.ring = Ring(path)
        self.config = config
        self.version = 0  # of the configuration that is applied

    def command(self, message, now):
        """Yield the answers to a message of down/command.

        ``now`` has the form of ``expires_at``, 2030-03-01T09:01:00.000Z, so that texts
        can be compared; None: the device has no clock.
        """
        command_id = message.get("id")
        name = message.get("name")
        if not is_id(command_id) or not isinstance(name, str):
            return
        answers = "command/" + command_id
        if self.ring.end_of(command_id) is not None:
            yield answers + "/ack", {"status": "received"}
            yield answers + "/result", self.result_of(command_id)
            return
        expires_at = message.get("expires_at")
        if now is not None and expires_at is not None and expires_at <= now:
            yield answers + "/ack", {"status": "rejected", "reason": "expired"}
            return
        if name not in self.actions:
            yield answers + "/ack", {"status": "rejected", "reason": "unsupported"}
            return
        self.ring.begin(command_id)
        yield answers + "/ack", {"status": "received"}
        failure = self.actions[name](message.get("params") or {})
        self.ring.finish(command_id, FAILED if failure else DONE)
        result = {"status": "failed", "code": failure} if failure else None
        yield answers + "/result", result or {"status": "succeeded"}

    def configure(self, message):
        """Yield the answers to a message of down/desired; report after that."""
        command_id = message.get("command_id")
        answers = f"command/{command_id}"
        if is_id(command_id) and self.ring.end_of(command_id) is not None:
            yield answers + "/ack", {"status": "received"}
            yield answers + "/result", self.result_of(command_id)
            return
        version = message.get("version")
        desired = message.get("desired")
        if not isinstance(version, int) or not isinstance(desired, dict):
            return
        if version < self.version:
            return
        if is_id(command_id):
            self.ring.begin(command_id)
            yield answers + "/ack", {"status": "received"}
        self.config.update(desired)
        self.version = version
        if is_id(command_id):
            self.ring.finish(command_id, DONE)
            yield answers + "/result", {"status": "succeeded"}

    def result_of(self, command_id):
        """The end of a known command; one that was cut off is never run again."""
        end = self.ring.end_of(command_id)
        if end == DONE:
            return {"status": "succeeded"}
        return {"status": "failed", "code": "interrupted" if end == BEGUN else "failed"}


def is_id(value):
    return isinstance(value, str) and 0 < len(value.encode()) <= 40 and " " not in value


def read(payload):
    """Return the message of a payload; None for one that cannot be read."""
    try:
        message = json.loads(payload)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
