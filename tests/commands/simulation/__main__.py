"""Replay one life, and tell its story: python -m tests.commands.simulation SEED."""

from __future__ import annotations

import os
import sys


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
    os.environ.setdefault("DEBUG", "true")
    os.environ.setdefault("SECRET_KEY", "of no use")
    import django

    django.setup()
    from tests.commands.simulation.life import live

    life = live(int(sys.argv[1]), tell=True)
    print(*life.story, sep="\n")
    print(life.broken or "all promises were kept")
    return 1 if life.broken else 0


if __name__ == "__main__":
    sys.exit(main())
