from django.urls import path

from apps.quotas.views import limits, prices, usage

app_name = "quotas"

urlpatterns = [
    path("usage/", usage.page, name="usage"),
    path("usage/csv/", usage.export, name="usage_csv"),
    path("limits/", limits.listing, name="limits"),
    path("limits/set/", limits.save, name="set_limit"),
    path("limits/effect/", limits.effect, name="limit_effect"),
    path("limits/preset/", limits.preset, name="apply_preset"),
    path("limits/<int:limit_id>/remove/", limits.remove, name="remove_limit"),
    path("prices/set/", prices.save, name="set_price"),
    path("prices/<int:price_id>/remove/", prices.remove, name="remove_price"),
]
