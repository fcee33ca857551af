"""What belongs to no app and is no page of its own: colours, language, where registering ends."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from accounts.services.people import choose_language, choose_theme
from crm.common.access import page, public_page
from crm.context_processors import THEME_COOKIE, THEMES

_THEME_SECONDS = 365 * 24 * 3600


@public_page
@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keeps the colours in a cookie, which the server reads, so that the first paint is right. Empty: the device's."""
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = "/"
    response = redirect(target)
    theme = request.POST.get("theme", "")
    if request.user.is_authenticated:
        choose_theme(user=request.user, theme=theme if theme in THEMES else "")
    if theme in THEMES:
        response.set_cookie(
            THEME_COOKIE, theme, _THEME_SECONDS, secure=request.is_secure(), httponly=True, samesite="Lax"
        )
    else:
        response.delete_cookie(THEME_COOKIE, samesite="Lax")
    return response


@public_page
@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Keeps the language in a cookie, and with the person who signed in, so that mails and other devices know it."""
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = "/"
    response = redirect(target)
    language = request.POST.get("language", "")
    if language in dict(settings.LANGUAGES):
        if request.user.is_authenticated:
            choose_language(user=request.user, language=language)
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            language,
            settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
            samesite=settings.LANGUAGE_COOKIE_SAMESITE,
        )
    return response


@page("home")
@require_GET
def welcome(request: HttpRequest) -> HttpResponse:
    """Where registering ends: straight at a first message to one's own phone, where the role may send."""
    return redirect(f"{reverse('send')}?test=1" if request.membership.may("messages.send") else "home")
