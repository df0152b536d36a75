"""Whose session each case carries, and what was answered.

A case carries the live session of somebody whose role is ROLE, unless that is nobody.
Cases end sessions, lock, demote and delete whom they find, and log out: so the session is
looked at before each, and whoever cannot go on is followed by somebody new.
"""

import itertools
import os
import subprocess

import requests
import schemathesis

COOKIE = "__Host-gatelodge_session"
PASSWORD = "correct horse battery staple"  # as in the document's examples

PROGRAM, SERVICE = os.environ["PROGRAM"], os.environ["SERVICE"]
ROLE = os.environ["ROLE"]

answers = open(os.environ["ANSWERS"], "w", buffering=1)


@schemathesis.hook
def after_call(context, case, response):
    print(case.method, case.path, response.status_code, file=answers)


class LiveSession:
    def __init__(self):
        self.http = requests.Session()
        self.emails = (f"{ROLE}-{number}@example.org" for number in itertools.count())
        self.email = self.token = self.id = None
        self.turns = itertools.cycle([True, False, False])

    def get(self, case, context):
        if not self.is_live():
            self.token = self.log_in() or self.log_in_as_somebody_new()
        return self.token

    def set(self, case, token, context):
        case.cookies[COOKIE] = token
        # An id that is made up names no session: every third is this one's.
        is_right = case.meta is not None and case.meta.generation.mode.is_positive
        if is_right and case.path.endswith("/sessions/{id}") and next(self.turns):
            case.path_parameters["id"] = self.id

    def is_live(self):
        cookie = {"Cookie": f"{COOKIE}={self.token}"}
        answer = self.http.get(f"{SERVICE}/api/sessions/whoami", headers=cookie)
        return self.is_me(answer)

    def log_in(self):
        credentials = {"email": self.email, "password": PASSWORD}
        answer = self.http.post(f"{SERVICE}/api/login", json=credentials)
        self.http.cookies.clear()
        if self.is_me(answer):
            return answer.headers["Set-Cookie"].split(";")[0].split("=", 1)[1]

    def log_in_as_somebody_new(self):
        self.email = next(self.emails)
        who = ["--email", self.email, "--name", "Fuzz", "--role", ROLE]
        password = f"{PASSWORD}\n"
        subprocess.run(
            [PROGRAM, "users", "create", *who],
            input=password, text=True, check=True, stdout=subprocess.DEVNULL,
        )
        return self.log_in()

    def is_me(self, answer):
        if answer.status_code != 200 or answer.json()["user"]["role"] != ROLE:
            return False
        self.id = answer.json()["session"]["id"]
        return True


if ROLE != "nobody":
    schemathesis.auth(refresh_interval=None)(LiveSession)
