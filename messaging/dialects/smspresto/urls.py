"""SMSPresto's addresses, mounted at /console/ by crm/urls.py."""

from django.urls import path

from messaging.dialects.smspresto import views

urlpatterns = [
    path("api/", views.ConsoleView.as_view()),
    path("api", views.ConsoleView.as_view()),
    path("<path:rest>", views.UnknownView.as_view()),
]
