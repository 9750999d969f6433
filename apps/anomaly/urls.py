from django.urls import path

from apps.anomaly.views import readings, watched
from apps.anomaly.views.pages.urls import urlpatterns as pages

app_name = "anomaly"

urlpatterns = [
    *pages,
    # JSON (docs/anomaly.md).
    path("assets/<uuid:asset_id>/series/", readings.of_sensors, name="series"),
    path("assets/<uuid:asset_id>/export.csv", readings.export, name="export"),
    path("assets/<uuid:asset_id>/layout/", readings.layout, name="layout"),
    path("assets/<uuid:asset_id>/faults/", readings.faults, name="faults"),
    path("upload/", readings.upload, name="upload"),
    path("uploads/<uuid:readings_upload_id>/state/", readings.upload_state, name="upload_state"),
    path("uploads/<uuid:readings_upload_id>/read/", readings.upload_read, name="upload_read"),
    path("uploads/<uuid:readings_upload_id>/cancel/", readings.upload_cancel, name="upload_cancel"),
    path("assets/<uuid:asset_id>/spans/", watched.spans_of, name="spans"),
    path("assets/<uuid:asset_id>/incidents.json", watched.incident_list, name="incident_list"),
    path("assets/<uuid:asset_id>/live.json", watched.live, name="live"),
    path("assets/<uuid:asset_id>/silences/preview/", watched.silence_preview, name="silence_preview"),
    path("incidents/<uuid:incident_id>.json", watched.incident, name="incident_data"),
    path("detectors/<int:detector_id>/scores/", watched.scores, name="scores"),
    path("detectors/<int:detector_id>/thresholds/", watched.on_history, name="thresholds"),
    path("detectors/<int:detector_id>/threshold/", watched.set_threshold, name="set_threshold"),
    path("detectors/<int:detector_id>/state/", watched.detector, name="detector"),
    path("fits/<int:fit_id>/state/", watched.fit, name="fit"),
]
