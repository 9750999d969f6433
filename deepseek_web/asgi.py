"""HTTP and websocket entry point."""

import gc
import os

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deepseek_web.settings")
django.setup(set_prefix=False)

from deepseek_web.body_limit import BodyLimit  # noqa: E402  the apps must be loaded first
from deepseek_web.handlers import ByPath  # noqa: E402
from deepseek_web.request_log import RequestLog  # noqa: E402
from deepseek_web.urls import websocket_urlpatterns  # noqa: E402

application = RequestLog(
    ProtocolTypeRouter(
        {
            "http": BodyLimit(ByPath()),
            "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
        }
    )
)

# What was loaded stays for good: looking through it again and again costs the garbage collector 50 ms at a time.
gc.collect()
gc.freeze()
