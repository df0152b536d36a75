-- The ledger: users, their sessions, and the numbered revocation log.
-- Ids are 16-byte blobs, times are milliseconds since the Unix epoch.

create table users (
    id blob primary key,
    -- In its one spelling: NFKC, lower case, ASCII.
    email text not null constraint users_email_key unique,
    name text not null,
    role text not null check (role in ('user', 'admin')),
    status text not null check (status in ('active', 'locked')),
    -- Null until an invited user has chosen a password.
    password_hash text,
    -- Grows with each change of what the user logs in with.
    credential_version integer not null default 1,
    -- Grows when all of the user's sessions end; those of an older one are dead.
    session_generation integer not null default 1,
    created_at integer not null
) strict, without rowid;

create table sessions (
    id blob primary key,
    -- SHA-256 of the token's secret.
    digest blob not null constraint sessions_digest_key unique check (length(digest) = 32),
    user_id blob not null references users (id) on delete cascade,
    generation integer not null,
    -- The log's head when this row was inserted.
    born integer not null,
    issued_at integer not null,
    authenticated_at integer not null,
    -- Up to 5 % of the idle timeout behind what the hot store knows.
    last_seen_at integer not null,
    expires_at integer not null,
    idle_timeout_ms integer not null,
    remember_me integer not null,
    address text,
    user_agent text
) strict, without rowid;

create index sessions_by_user on sessions (user_id, issued_at desc);
create index sessions_by_expiry on sessions (expires_at);

-- Append-only. Numbers follow each other without a gap, in the order of commits.
create table revocations (
    number integer primary key,
    -- Tells this entry from another that a lost or restored log had under its number.
    mark blob not null default (randomblob(16)),
    kind text not null,
    user_id blob,
    -- The session ended; with user_ended, the one spared.
    session_id blob,
    recorded_at integer not null default (cast(unixepoch('subsec') * 1000 as integer))
) strict;

insert into revocations (number, kind) values (0, 'origin');

-- One row: its lock, the last that a transaction takes, orders the commits.
create table revocation_head (
    singleton integer primary key default 1 check (singleton = 1),
    number integer not null
) strict;

insert into revocation_head (number) values (0);

-- The audit log. It outlives the users and sessions it tells of.
create table events (
    id blob primary key,
    at integer not null,
    action text not null,
    -- Who acted; null for somebody not known yet.
    actor_id blob,
    subject_id blob not null,
    session_id blob,
    address text
) strict, without rowid;
