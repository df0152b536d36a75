-- Attempts to tell a password that went wrong or are under way, counted before the
-- password is looked at, so that no number of instances verifies more than the limit.

create table attempts (
    -- SHA-256 of what they are counted under: an account, a browser, an address.
    key bytea primary key check (octet_length(key) = 32),
    -- The key of the account that they were made at; null for those of an address.
    account bytea check (octet_length(account) = 32),
    failures integer not null,
    -- Reserved, and not settled yet.
    pending integer not null,
    -- When failures are forgotten, if there are no more.
    expires_at timestamptz not null,
    -- When those under way are given up for lost, if no more are made.
    pending_until timestamptz not null
);

create index attempts_by_expiry on attempts (expires_at);
