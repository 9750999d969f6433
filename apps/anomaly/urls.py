from django.urls import path

from apps.anomaly.views import readings

app_name = "anomaly"

urlpatterns = [
    # Pages.
    # JSON (docs/anomaly.md).
    path("assets/<uuid:asset_id>/series/", readings.of_sensors, name="series"),
    path("assets/<uuid:asset_id>/export.csv", readings.export, name="export"),
    path("assets/<uuid:asset_id>/layout/", readings.layout, name="layout"),
    path("assets/<uuid:asset_id>/faults/", readings.faults, name="faults"),
    path("upload/", readings.upload, name="upload"),
    path("uploads/<uuid:readings_upload_id>/state/", readings.upload_state, name="upload_state"),
    path("uploads/<uuid:readings_upload_id>/read/", readings.upload_read, name="upload_read"),
    path("uploads/<uuid:readings_upload_id>/cancel/", readings.upload_cancel, name="upload_cancel"),
]
