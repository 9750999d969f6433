from django.urls import path

from apps.classify.views import files, pages

app_name = "classify"

urlpatterns = [
    path("", pages.page, name="page"),
    path("run/", pages.run, name="run"),
    path("results/<str:request_id>/", pages.result, name="result"),
    path("files/", files.start, name="start"),
    path("files/<uuid:batch_id>/", files.batch, name="batch"),
    path("files/<uuid:batch_id>/live/", files.live, name="live"),
    path("files/<uuid:batch_id>/cancel/", files.cancel, name="cancel"),
    path("files/<uuid:batch_id>/continue/", files.go_on, name="go_on"),
    path("files/<uuid:batch_id>/delete/", files.delete, name="delete"),
    path("files/<uuid:batch_id>/download/<str:kind>/", files.download, name="download"),
]
