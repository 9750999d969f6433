from django.urls import path

from apps.chat.views import comparisons, conversations, messages, pages, presets, temporary

app_name = "chat"

urlpatterns = [
    path("", pages.new, name="new"),
    path("list/", pages.conversation_list, name="list"),
    path("models/", pages.models, name="models"),
    path("send/", conversations.start, name="start"),
    path("temporary/", pages.temporary, name="temporary"),
    path("temporary/send/", temporary.send, name="send_temporary"),
    path("presets/", presets.save, name="save_preset"),
    path("presets/<int:preset_id>/delete/", presets.delete, name="delete_preset"),
    path("compare/", comparisons.start, name="compare"),
    path("compare/<uuid:comparison_id>/", comparisons.comparison, name="comparison"),
    path("compare/<uuid:comparison_id>/vote/", comparisons.vote, name="vote"),
    path("messages/<uuid:message_id>/", messages.message, name="message"),
    path("messages/<uuid:message_id>/regenerate/", messages.regenerate, name="regenerate"),
    path("messages/<uuid:message_id>/select/", messages.select, name="select"),
    path("messages/<uuid:message_id>/rate/", messages.rate, name="rate"),
    path("messages/<uuid:message_id>/probabilities/", messages.probabilities, name="probabilities"),
    path("<uuid:conversation_id>/", pages.conversation, name="conversation"),
    path("<uuid:conversation_id>/thread/", pages.thread, name="thread"),
    path("<uuid:conversation_id>/send/", conversations.send, name="send"),
    path("<uuid:conversation_id>/update/", conversations.update, name="update"),
    path("<uuid:conversation_id>/delete/", conversations.delete, name="delete"),
    path("<uuid:conversation_id>/export/<str:form>/", conversations.export, name="export"),
]
