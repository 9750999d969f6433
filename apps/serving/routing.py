from django.urls import path

from apps.serving.consumers import StreamConsumer

websocket_urlpatterns = [path("ws/streams/", StreamConsumer.as_asgi())]
