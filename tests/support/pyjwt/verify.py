"""Verifies JWTs as a service would that knows nothing but an address and its own name.

Reads {"jwks", "issuer", "tokens": [{"jwt", "audience", "algorithm"}]}, and says of each
token what it claims, or why it is not believed.
"""

import json
import sys

import jwt

given = json.load(sys.stdin)
keys = jwt.PyJWKSet.from_dict(given["jwks"])


def verified(token):
    try:
        header = jwt.get_unverified_header(token["jwt"])
        claims = jwt.decode(
            token["jwt"],
            keys[header["kid"]],
            algorithms=[token["algorithm"]],
            audience=token["audience"],
            issuer=given["issuer"],
            options={"require": ["exp", "nbf", "iat", "jti", "sub", "sid", "roles", "rev"]},
        )
        return {"header": header, "claims": claims}
    except (jwt.InvalidTokenError, KeyError) as error:
        return {"refused": type(error).__name__}


json.dump([verified(token) for token in given["tokens"]], sys.stdout)
