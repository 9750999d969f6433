"""HTTP and websocket entry point."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deepseek_web.settings")
http = get_asgi_application()

from deepseek_web.api_handler import ByPath  # noqa: E402  the apps must be loaded first
from deepseek_web.request_log import RequestLog  # noqa: E402
from deepseek_web.urls import websocket_urlpatterns  # noqa: E402

application = RequestLog(
    ProtocolTypeRouter(
        {
            "http": ByPath(http),
            "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
        }
    )
)
