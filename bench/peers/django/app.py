"""The same work on Django REST framework: gunicorn app:application, with BENCH_DATABASE set."""
import os
import uuid
from datetime import datetime, timezone

import django
from django.conf import settings

settings.configure(
    DEBUG=False,
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["BENCH_DATABASE"],
            "CONN_MAX_AGE": 600,
            "OPTIONS": {"timeout": 20},
        }
    },
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "DEFAULT_PERMISSION_CLASSES": [], "UNAUTHENTICATED_USER": None,
                    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]},
    USE_TZ=True,
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import models  # noqa: E402
from django.db.backends.signals import connection_created  # noqa: E402
from django.http import Http404  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


def set_pragmas(connection, **kwargs):
    connection.cursor().execute("PRAGMA synchronous=FULL")


connection_created.connect(set_pragmas)


class Table(models.Model):
    id = models.TextField(primary_key=True)

    class Meta:
        abstract = True
        app_label = "bench"


class Item(Table):
    name = models.TextField()
    value = models.IntegerField()

    class Meta(Table.Meta):
        abstract = False
        managed = False
        db_table = "item"


class Session(models.Model):
    token = models.TextField(primary_key=True)
    user = models.TextField()

    class Meta:
        app_label = "bench"
        managed = False
        db_table = "bench_session"


class Member(Table):
    chat = models.TextField()
    user = models.TextField()

    class Meta(Table.Meta):
        abstract = False
        managed = False
        db_table = "member"


class Message(Table):
    chat = models.TextField()
    sender = models.TextField()
    text = models.TextField()
    created_at = models.IntegerField()

    class Meta(Table.Meta):
        abstract = False
        managed = False
        db_table = "message"


class ItemSerializer(serializers.ModelSerializer):
    class Meta:
        model = Item
        fields = ["id", "name", "value"]


class MessageSerializer(serializers.ModelSerializer):
    created_at = serializers.SerializerMethodField()

    class Meta:
        model = Message
        fields = ["id", "chat", "sender", "text", "created_at"]

    def get_created_at(self, message):
        return datetime.fromtimestamp(message.created_at / 1e6, timezone.utc).isoformat()


def user_of(request):
    session = Session.objects.filter(token=request.COOKIES.get("session", "")).first()
    if session is None:
        raise Http404
    return session.user


class Hello(APIView):
    def get(self, request):
        return Response({"message": "Hello, World!"})


class HelloSession(APIView):
    def get(self, request):
        user_of(request)
        return Response({"message": "Hello, World!"})


class ItemView(APIView):
    def get(self, request, key):
        return Response(ItemSerializer(Item.objects.get(id=key)).data)


class Messages(APIView):
    def get(self, request):
        user, chat = user_of(request), request.query_params["chat"]
        if not Member.objects.filter(chat=chat, user=user).exists():
            raise Http404
        found = Message.objects.filter(chat=chat)
        rows = found.order_by("-created_at", "-id")[:50]
        return Response({"rows": MessageSerializer(rows, many=True).data, "total": found.count()})

    def post(self, request):
        user, chat = user_of(request), request.data["chat"]
        if not Member.objects.filter(chat=chat, user=user).exists():
            raise Http404
        message = Message(id=str(uuid.uuid4()), chat=chat, sender=user, text=request.data["text"],
                          created_at=int(datetime.now().timestamp() * 1e6))
        message.save(force_insert=True)
        return Response(MessageSerializer(message).data, status=201)


urlpatterns = [
    path("json", Hello.as_view()),
    path("json/session", HelloSession.as_view()),
    path("api/items/<str:key>/", ItemView.as_view()),
    path("api/messages/", Messages.as_view()),
]
application = get_wsgi_application()
