-- Who checks and ends sessions: whom a revocation must have reached.

create table instances (
    id blob primary key,
    -- What an instance last said through the ledger, as it does when nothing else
    -- carries it: the number of its word, and where its revocation view stands.
    beat integer,
    reached integer,
    mark blob check (length(mark) = 4),
    -- Whether it hears of the others through the ledger alone.
    is_deaf integer not null default 0,
    -- Somebody has missed it: its view is not confirmed until it enrols again.
    struck_off_at integer
) strict;
