from django.urls import path

from apps.teach.views import asking, classifiers, examples

app_name = "teach"

urlpatterns = [
    path("", classifiers.listing, name="listing"),
    path("new/", classifiers.create, name="create"),
    path("ask/", asking.ask, name="ask"),
    path("pictures/", examples.add_files, name="add_pictures"),
    path("clips/", examples.add_files, name="add_clips"),
    path("classifiers/<uuid:classifier_id>/", classifiers.page, name="page"),
    path("classifiers/<uuid:classifier_id>/live/", classifiers.live, name="live"),
    path("classifiers/<uuid:classifier_id>/change/", classifiers.change, name="change"),
    path("classifiers/<uuid:classifier_id>/delete/", classifiers.delete, name="delete"),
    path("classifiers/<uuid:classifier_id>/teach/", asking.teach, name="teach"),
    path("classifiers/<uuid:classifier_id>/withdraw/", classifiers.withdraw, name="withdraw"),
    path("classifiers/<uuid:classifier_id>/labels/", examples.add_label, name="add_label"),
    path("classifiers/<uuid:classifier_id>/texts/", examples.add_texts, name="add_texts"),
    path("classifiers/<uuid:classifier_id>/table/", examples.add_table, name="add_table"),
    path("classifiers/<uuid:classifier_id>/clear/", examples.clear, name="clear"),
    path("labels/<int:label_id>/rename/", examples.rename_label, name="rename_label"),
    path("labels/<int:label_id>/delete/", examples.delete_label, name="delete_label"),
    path("examples/<int:example_id>/delete/", examples.delete, name="delete_example"),
    path("examples/<int:example_id>/label/", examples.give_label, name="give_label"),
    path("examples/<int:example_id>/picture/", examples.picture, name="picture"),
    path("examples/<int:example_id>/clip/", examples.clip, name="clip"),
    path("classifiers/<uuid:classifier_id>/refine/", classifiers.refine, name="refine"),
    path("versions/<int:version_id>/cancel/", classifiers.cancel, name="cancel"),
    path("versions/<int:version_id>/use/", classifiers.use, name="use"),
    path("versions/<int:version_id>/publish/", classifiers.publish, name="publish"),
]
