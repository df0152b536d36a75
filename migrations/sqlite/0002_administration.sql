-- Administration: password links, "end everyone", and lists that an index answers.

-- SHA-256 of the secret in a link that sets a password, once.
create table password_links (
    digest blob primary key check (length(digest) = 32),
    -- Whose password it sets; null: it makes the first admin.
    user_id blob constraint password_links_user_key unique references users (id) on delete cascade,
    -- Dead when this is no longer the user's.
    credential_version integer,
    expires_at integer not null
) strict, without rowid;

-- One row, as PostgreSQL has it, where its lock matters.
create table admin_roster (
    singleton integer primary key default 1 check (singleton = 1)
) strict;

insert into admin_roster default values;

-- Sessions born before this number of the log are dead.
alter table revocation_head add column everyone_ended integer not null default 0;
-- No session with a lesser id is alive: where lists end.
alter table revocation_head add column first_alive blob not null
    default x'00000000000000000000000000000000';

-- One row: whoever sets it first does what is to be done once a minute.
create table chores (
    singleton integer primary key default 1 check (singleton = 1),
    begun_at integer not null default 0
) strict;

insert into chores default values;

create index admins on users (id) where role = 'admin';

-- (Of the addresses so far, SQL can convert these; of others, which no release has
-- written, it keeps none.)
-- A session without its user is dead, and is swept up later: so deleting a user
-- takes no longer if there are many. Ids are in the order of time.
create table sessions_0002 (
    id blob primary key,
    -- SHA-256 of the token's secret.
    digest blob not null constraint sessions_digest_key unique check (length(digest) = 32),
    user_id blob not null,
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
    -- The version and the bytes: in the order of addresses.
    address blob,
    user_agent text,
    last_seen_hour integer generated always as (last_seen_at / 3600000 * 3600000) virtual
) strict, without rowid;

insert into sessions_0002 (id, digest, user_id, generation, born, issued_at, authenticated_at,
    last_seen_at, expires_at, idle_timeout_ms, remember_me, address, user_agent)
select id, digest, user_id, generation, born, issued_at, authenticated_at,
    last_seen_at, expires_at, idle_timeout_ms, remember_me,
    case
        when address = '::1' then x'0600000000000000000000000000000001'
        when address not like '%:%' then unhex('04' || printf('%02x%02x%02x%02x',
            json_extract('[' || replace(address, '.', ',') || ']', '$[0]'),
            json_extract('[' || replace(address, '.', ',') || ']', '$[1]'),
            json_extract('[' || replace(address, '.', ',') || ']', '$[2]'),
            json_extract('[' || replace(address, '.', ',') || ']', '$[3]')))
    end,
    user_agent
from sessions;
drop table sessions;
alter table sessions_0002 rename to sessions;

create index sessions_by_user on sessions (user_id, generation, id);
create index sessions_by_address on sessions (address, id);
create index sessions_by_last_seen on sessions (last_seen_hour);

create table events_0002 (
    id blob primary key,
    at integer not null,
    action text not null,
    -- Who acted; null for an operator and for somebody not known yet.
    actor_id blob,
    -- Null: it concerned nobody in particular.
    subject_id blob,
    session_id blob,
    address blob,
    -- An operator, on the command line.
    by_operator integer not null default 0,
    -- Given by who acted.
    reason text,
    -- What more there is to say, such as the new role.
    detail text
) strict, without rowid;

insert into events_0002 (id, at, action, actor_id, subject_id, session_id, address)
select id, at, action, actor_id, subject_id, session_id,
    case
        when address = '::1' then x'0600000000000000000000000000000001'
        when address not like '%:%' then unhex('04' || printf('%02x%02x%02x%02x',
            json_extract('[' || replace(address, '.', ',') || ']', '$[0]'),
            json_extract('[' || replace(address, '.', ',') || ']', '$[1]'),
            json_extract('[' || replace(address, '.', ',') || ']', '$[2]'),
            json_extract('[' || replace(address, '.', ',') || ']', '$[3]')))
    end
from events;
drop table events;
alter table events_0002 rename to events;

create index events_by_actor on events (actor_id, id);
create index events_by_operator on events (id) where by_operator;
create index events_by_subject on events (subject_id, id);
create index events_by_action on events (action, id);
