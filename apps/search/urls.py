from django.urls import path

from apps.search.views import collections, duplicates, files, pages, pictures, uploads

app_name = "search"

urlpatterns = [
    path("", collections.listing, name="collections"),
    path("new/", collections.create, name="create"),
    path("upload/", uploads.upload, name="upload"),
    path("send/", uploads.send, name="send"),
    path("sent/<uuid:query_picture_id>/", uploads.sent, name="sent"),
    path("sent/<uuid:query_picture_id>/picture/", files.sent_thumbnail, name="sent_thumbnail"),
    path("uploads/<uuid:upload_id>/pause/", uploads.pause, name="pause"),
    path("uploads/<uuid:upload_id>/resume/", uploads.resume, name="resume"),
    path("uploads/<uuid:upload_id>/retry/", uploads.retry, name="retry"),
    path("uploads/<uuid:upload_id>/dismiss/", uploads.dismiss, name="dismiss"),
    path("collections/<uuid:collection_id>/", pages.page, name="page"),
    path("collections/<uuid:collection_id>/more/", pages.more, name="more"),
    path("collections/<uuid:collection_id>/save/", pages.save, name="save"),
    path("collections/<uuid:collection_id>/click/", pages.click, name="click"),
    path("collections/<uuid:collection_id>/manage/", collections.manage, name="manage"),
    path("collections/<uuid:collection_id>/live/", collections.live, name="live"),
    path("collections/<uuid:collection_id>/change/", collections.change, name="change"),
    path("collections/<uuid:collection_id>/delete/", collections.delete, name="delete"),
    path("collections/<uuid:collection_id>/switch/", collections.switch, name="switch"),
    path("collections/<uuid:collection_id>/measure/", collections.measure, name="measure"),
    path("collections/<uuid:collection_id>/texts/", collections.add_texts, name="add_texts"),
    path("collections/<uuid:collection_id>/texts/clear/", collections.clear_texts, name="clear_texts"),
    path("collections/<uuid:collection_id>/duplicates/<str:duplicates>/", duplicates.review, name="duplicates"),
    path("collections/<uuid:collection_id>/pictures/delete/", pictures.delete_many, name="delete_pictures"),
    path("collections/<uuid:collection_id>/pictures/tag/", pictures.tag_many, name="tag_pictures"),
    path("indexes/<int:index_id>/retry/", collections.retry_index, name="retry_index"),
    path("indexes/<int:index_id>/give-up/", collections.give_up, name="give_up"),
    path("pictures/<uuid:picture_id>/", pictures.picture, name="picture"),
    path("pictures/<uuid:picture_id>/file/", files.file, name="file"),
    path("pictures/<uuid:picture_id>/small/", files.thumbnail, name="thumbnail"),
    path("pictures/<uuid:picture_id>/describe/", pictures.describe, name="describe"),
    path("pictures/<uuid:picture_id>/labels/", pictures.labels, name="labels"),
    path("pictures/<uuid:picture_id>/delete/", pictures.delete, name="delete_picture"),
    path("saved/<uuid:search_id>/", pages.saved, name="saved"),
    path("saved/<uuid:search_id>/delete/", pages.delete_saved, name="delete_saved"),
]
