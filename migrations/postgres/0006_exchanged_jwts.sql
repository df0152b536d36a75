-- JWTs of another system that have been exchanged for a session: each is taken once.

create table exchanged_jwts (
    -- SHA-256 of issuer and jti.
    digest bytea primary key check (octet_length(digest) = 32),
    -- From then on it is refused by itself.
    expires_at timestamptz not null
);

create index exchanged_jwts_by_expiry on exchanged_jwts (expires_at);
