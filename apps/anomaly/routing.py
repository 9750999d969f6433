from django.urls import path

from apps.anomaly.consumers import AssetConsumer

websocket_urlpatterns = [path("ws/anomaly/<uuid:asset_id>/", AssetConsumer.as_asgi())]
