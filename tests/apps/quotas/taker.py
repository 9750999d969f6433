"""A process of its own that reserves for one person from fifty threads at once: `python -m tests.apps.quotas.taker ID`.

Says `ready`, waits for a line, says how many of the fifty were admitted.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import django

_THREADS = 50


def main(user_id: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deepseek_web.settings")
    django.setup()
    from django.db import connections

    from apps.accounts.models import User
    from apps.quotas.admission import LimitReached
    from apps.quotas.services import reserve
    from apps.quotas.usage import Amounts, account_of

    account = account_of(User.objects.get(pk=user_id))
    each = Amounts(requests=1, input_tokens=7, output_tokens=11, compute_ms=1000, stored_bytes=13)

    def take(place: int) -> bool:
        try:
            reserve(account=account, source=f"request:{os.getpid()}-{place}", amounts=each, kind="text-generation")
            return True
        except LimitReached:
            return False
        finally:
            connections.close_all()

    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(_THREADS) as pool:
        print(sum(pool.map(take, range(_THREADS))), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
