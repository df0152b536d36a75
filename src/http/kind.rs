//! The kinds of problems there are: what the API says of each, and what its page
//! under `/problems/` says to do.

use std::time::Duration;

use actix_web::http::StatusCode;

macro_rules! kinds {
    ($($kind:ident { $status:ident, $code:literal, $title:literal, $detail:literal, $advice:literal })*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Kind {
            $($kind),*
        }

        impl Kind {
            pub(super) const ALL: &[Self] = &[$(Self::$kind),*];

            pub(super) const fn status(self) -> StatusCode {
                match self {
                    $(Self::$kind => StatusCode::$status),*
                }
            }

            /// Names the kind, in answers and in the page's address.
            pub(super) const fn code(self) -> &'static str {
                match self {
                    $(Self::$kind => $code),*
                }
            }

            /// Names the kind as a URI (RFC 9457, 3.1.1).
            pub(super) const fn uri(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!("/problems/", $code)),*
                }
            }

            pub(super) const fn title(self) -> &'static str {
                match self {
                    $(Self::$kind => $title),*
                }
            }

            /// Constant: nothing of a request or of an error's cause comes back in it.
            pub(super) const fn detail(self) -> &'static str {
                match self {
                    $(Self::$kind => $detail),*
                }
            }

            /// What to do about it.
            pub(super) const fn advice(self) -> &'static str {
                match self {
                    $(Self::$kind => $advice),*
                }
            }
        }
    };
}

kinds! {
    MalformedJson {
        BAD_REQUEST, "malformed_json", "Malformed JSON",
        "The request's body is not valid JSON.",
        "Send one JSON object, in UTF-8, without a byte order mark."
    }
    IncompleteBody {
        BAD_REQUEST, "incomplete_body", "Incomplete body",
        "The request's body broke off, or its chunks are not as they should be.",
        "Send it again, whole, on a new connection. If a proxy stands between, it may have lost its client."
    }
    Unauthenticated {
        UNAUTHORIZED, "unauthenticated", "Not logged in",
        "The request carries no session, or one that has ended. Log in.",
        "The session may have been ended by its user or by an administrator, or it has expired. Log in again, and send the cookie that comes with the answer. The cookie of the request was left alone."
    }
    InvalidCredentials {
        UNAUTHORIZED, "invalid_credentials", "Wrong credentials",
        "The e-mail address or the password is wrong.",
        "The answer is the same for an unknown address, a wrong password, and a locked account, so that nobody learns who has an account. Who has forgotten a password asks an administrator for a link that sets a new one."
    }
    UnknownService {
        UNAUTHORIZED, "unknown_service", "Unknown service",
        "The request carries no credential of a service, or one that is not known.",
        "Send Authorization: Bearer with one of revocations.credentials. Sessions, of whoever it may be, are none."
    }
    InvalidToken {
        UNAUTHORIZED, "invalid_token", "Invalid token",
        "The JWT is not exchanged for a session.",
        "The answer is the same whether the JWT is malformed, expired, meant for somebody else, signed with another key, used before, or names nobody who may log in. The service's log says which, at the level debug, and the audit log if the JWT was genuine. Each is exchanged once: ask with a new one, or log in. Unlike unauthenticated, it says nothing about the session that the request came with, which goes on."
    }
    Forbidden {
        FORBIDDEN, "forbidden", "Forbidden",
        "You may not do that.",
        "Only administrators may; or, for what an app behind this service was asked, whom authz.rules says. Whoever has just become an administrator need not log in again."
    }
    UnclearRequest {
        FORBIDDEN, "unclear_request", "Unclear request",
        "What was asked for can be read in more than one way.",
        "Servers differ in what they make of such a path, host or method, so nobody can say which rule holds: of a path with . or .., empty segments, encoded slashes, backslashes, semicolons, control characters, or what is encoded twice or spelled almost as in a rule. Ask for it as browsers write it. If every request is answered like this, the proxy does not say what it was asked for: see the guide to forward-auth."
    }
    UnknownProxy {
        FORBIDDEN, "unknown_proxy", "Unknown proxy",
        "Only proxies that this service knows may ask whether requests may pass.",
        "Add the address from which the proxy connects to server.trusted_proxies. The service's log names it."
    }
    WrongPassword {
        FORBIDDEN, "wrong_password", "Wrong password",
        "The current password is wrong.",
        "Changing a password or an e-mail address, and deleting an account, take the current password once more."
    }
    CsrfFailed {
        FORBIDDEN, "csrf_failed", "Cross-site request refused",
        "A request that changes something must come from this site's own pages.",
        "A browser said, by Origin or Sec-Fetch-Site, that the request comes from elsewhere. Call from a page of the origin that server.public_url names, or of one of cors.allowed_origins. Programs that are no browser leave both headers out, and send JSON."
    }
    RegistrationClosed {
        FORBIDDEN, "registration_closed", "Registration is closed",
        "New accounts are made by an administrator.",
        "registration.enabled is false. An administrator creates the account and hands out a link that sets its password."
    }
    NotFound {
        NOT_FOUND, "not_found", "Not found",
        "There is nothing here, or nothing of yours.",
        "The address is wrong, or what it named is over. What belongs to somebody else is answered like this, too."
    }
    MethodNotAllowed {
        METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed",
        "This resource does not take that method; Allow lists those it does.",
        "Use one of the methods that the answer lists in Allow."
    }
    RequestTimeout {
        REQUEST_TIMEOUT, "request_timeout", "Request timeout",
        "The request's body took too long to arrive.",
        "Send it again; server.body_timeout says how long it may take."
    }
    EmailTaken {
        CONFLICT, "email_taken", "E-mail address taken",
        "There is an account with this e-mail address.",
        "Log in, or use another address. Upper and lower case make no difference."
    }
    LastAdmin {
        CONFLICT, "last_admin", "Last administrator",
        "Nobody else can administer: this administrator can be neither locked, demoted nor deleted.",
        "Make somebody else an administrator first, who is active and has a password."
    }
    UnknownPosition {
        GONE, "unknown_position", "Unknown position",
        "The revocation log does not have that position.",
        "The log was set back, as by a restore, or the position is another log's. Begin again without after or Last-Event-ID, and believe nothing that was issued before at of the answer."
    }
    ContentTooLarge {
        PAYLOAD_TOO_LARGE, "content_too_large", "Body too large",
        "A request's body may have 64 KiB at most.",
        "No request of this API needs more."
    }
    UriTooLong {
        URI_TOO_LONG, "uri_too_long", "URI too long",
        "A request's URI may have 8 KiB at most.",
        "No request of this API needs more."
    }
    UnsupportedMediaType {
        UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type",
        "The body must be JSON in UTF-8, sent as application/json.",
        "Set Content-Type: application/json, without Content-Encoding. Forms are taken by our own pages alone."
    }
    InvalidInput {
        UNPROCESSABLE_ENTITY, "invalid_input", "Invalid input",
        "The request has mistakes; see errors.",
        "The answer's errors name each field and what would be right. Nothing was changed."
    }
    TooManyAttempts {
        TOO_MANY_REQUESTS, "too_many_attempts", "Too many attempts",
        "Too many wrong passwords. No more are tried for a while.",
        "Ask again after the seconds that Retry-After names: until then not even the right password is looked at. Sessions that exist go on, and a browser that has logged in to the account before is not held to what others have tried. An administrator can let you try again at once."
    }
    HeadersTooLarge {
        REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", "Headers too large",
        "A request's headers may have 16 KiB at most.",
        "Mostly these are cookies of other apps on the same host: remove some."
    }
    Internal {
        INTERNAL_SERVER_ERROR, "internal", "Internal error",
        "Something went wrong on our side.",
        "The cause is in the service's log."
    }
    Unavailable {
        SERVICE_UNAVAILABLE, "unavailable", "Unavailable",
        "This cannot be answered right now. If it was to change something, it may or may not have been done.",
        "Ask again after the seconds that Retry-After names. Ending a session can be asked for any number of times. The session's cookie was left alone."
    }
    Busy {
        SERVICE_UNAVAILABLE, "busy", "Busy",
        "Too many log-ins are under way. Try again in a moment.",
        "Ask again after the seconds that Retry-After names. Sessions that exist are checked as ever."
    }
    Draining {
        SERVICE_UNAVAILABLE, "draining", "Draining",
        "This instance has been told to stop. It answers as before; send it nothing new.",
        "Only /health/ready says so, to load balancers, which take another instance for as long."
    }
    StaleView {
        SERVICE_UNAVAILABLE, "stale_view", "Stale view",
        "This instance does not know which sessions have been ended lately, so it can vouch for none.",
        "Only /health/ready says so. The database has been silent for longer than session.lease, and Redis does not prove that nobody has ended any session, or has not for longer than session.ledger_grace. It is ready again by itself once the database answers; the service's log says why it does not."
    }
}

impl Kind {
    pub(super) const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Unavailable | Self::Draining | Self::StaleView => Some(Duration::from_secs(2)),
            Self::Busy => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}
