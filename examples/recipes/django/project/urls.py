from django.http import HttpResponse
from django.urls import path


def said(text):
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def hello(request):
    return said(f"Hello, {request.user.first_name}, who is {request.user.username}.\n")


def anyone(request):
    name = request.user.first_name if request.user.is_authenticated else "stranger"
    return said(f"Hello, {name}.\n")


urlpatterns = [path("", hello), path("public/", anyone)]
