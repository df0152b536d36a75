from urllib.parse import unquote

from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.middleware import RemoteUserMiddleware


class GatelodgeMiddleware(RemoteUserMiddleware):
    """Whoever the proxy names is logged in; where it names nobody, nobody is any more."""

    header = "HTTP_REMOTE_USER"

    def process_request(self, request):
        super().process_request(request)
        # The role of this very request: Django would remember that of the first one.
        is_admin = request.META.get("HTTP_REMOTE_GROUPS") == "admin"
        request.user.is_staff = request.user.is_superuser = is_admin


class GatelodgeBackend(RemoteUserBackend):
    """Users have their id for a username, which never changes, and are made as they come."""

    def configure_user(self, request, user, created=True):
        user.first_name = unquote(request.META["HTTP_REMOTE_NAME"])[:150]
        user.email = request.META["HTTP_REMOTE_EMAIL"]
        user.save(update_fields=["first_name", "email"])
        return user
