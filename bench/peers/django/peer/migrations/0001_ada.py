from django.contrib.auth.hashers import make_password
from django.db import migrations


def create_ada(apps, schema_editor):
    apps.get_model("auth", "User").objects.create(
        username="ada@example.com",
        email="ada@example.com",
        first_name="Ada",
        last_name="Lovelace",
        password=make_password("correct horse battery staple"),
    )


class Migration(migrations.Migration):
    dependencies = [("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunPython(create_ada)]
