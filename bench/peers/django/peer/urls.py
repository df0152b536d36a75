"""Django's own sessions and users, the sessions in Redis before a database."""

import json

from django.contrib.auth import authenticate, login
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST


def body(user):
    return JsonResponse(
        {"user": {"id": user.pk, "email": user.email, "name": user.get_full_name()}}
    )


@require_GET
def health(request):
    return HttpResponse()


@require_POST
def log_in(request):
    credentials = json.loads(request.body)
    user = authenticate(
        request, username=credentials["email"], password=credentials["password"]
    )
    if user is None:
        return HttpResponse(status=401)
    login(request, user)
    return body(user)


@require_GET
def whoami(request):
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    return body(request.user)


urlpatterns = [
    path("health", health),
    path("login", log_in),
    path("whoami", whoami),
]
