"""Native API of accounts, mounted under /api/{client_id}/ by crm/urls.py."""

from django.urls import path

from accounts import api

urlpatterns = [
    path("webhooks", api.EndpointsView.as_view(), name="api_webhooks"),
    path("webhooks/<int:endpoint_id>", api.EndpointView.as_view(), name="api_webhook"),
    path("webhooks/<int:endpoint_id>/rotate", api.RotateView.as_view(), name="api_webhook_rotate"),
    path("webhooks/<int:endpoint_id>/test", api.TestView.as_view(), name="api_webhook_test"),
    path("webhooks/<int:endpoint_id>/deliveries", api.DeliveriesView.as_view(), name="api_webhook_deliveries"),
    path(
        "webhooks/<int:endpoint_id>/deliveries/redeliver",
        api.RedeliverFailedView.as_view(),
        name="api_webhook_redeliver_failed",
    ),
    path(
        "webhooks/<int:endpoint_id>/deliveries/<int:delivery_id>",
        api.DeliveryView.as_view(),
        name="api_webhook_delivery",
    ),
    path(
        "webhooks/<int:endpoint_id>/deliveries/<int:delivery_id>/redeliver",
        api.RedeliverView.as_view(),
        name="api_webhook_redeliver",
    ),
]
