from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import PlainTextResponse

app = FastAPI(default_response_class=PlainTextResponse)


@dataclass(frozen=True)
class User:
    id: str
    name: str
    is_admin: bool


def maybe_user(
    remote_user: Annotated[str, Header()] = "",
    remote_name: Annotated[str, Header()] = "",
    remote_groups: Annotated[str, Header()] = "",
) -> User | None:
    """Who the proxy says it is; None where a rule lets strangers pass."""
    if not remote_user:
        return None
    return User(remote_user, unquote(remote_name), remote_groups == "admin")


def current_user(user: Annotated[User | None, Depends(maybe_user)]) -> User:
    if user is None:
        raise HTTPException(401)
    return user


def admin(user: Annotated[User, Depends(current_user)]) -> User:
    if not user.is_admin:
        raise HTTPException(403)
    return user


@app.get("/")
def hello(user: Annotated[User, Depends(current_user)]) -> str:
    return f"Hello, {user.name}, who is {user.id}.\n"


@app.get("/public/")
def anyone(user: Annotated[User | None, Depends(maybe_user)]) -> str:
    return f"Hello, {user.name if user else 'stranger'}.\n"


@app.get("/statistics")
def statistics(_: Annotated[User, Depends(admin)]) -> str:
    return "Only administrators see this.\n"
