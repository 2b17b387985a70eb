-- The role `sampler`, for `sampling-worker run`: it reads the library and hears of its changes, and can do nothing else.
-- Run by psql, by who owns audio_chunks and may create roles, after each `sampling-worker migrate` that made the table;
-- the role's password is the first line of standard input:
--
--   psql "$OWNER_URL" --file deploy/sampler.sql < sampler_password
--
-- LISTEN needs no right of its own, and NOTIFY cannot be forbidden: the worker takes a payload for a hint, and reads the rows.
\set ON_ERROR_STOP on
\prompt 'Password of the role sampler: ' password
begin;
select not exists (select from pg_roles where rolname = 'sampler') as is_missing \gset
\if :is_missing
create role sampler;
\endif
alter role sampler login noinherit password :'password';
-- A role that was just made can do none of this. Only a superuser may say so, and managed servers have none for you.
select rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls as can_more
from pg_roles where rolname = 'sampler' \gset
\if :can_more
alter role sampler nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
\endif
alter role sampler set default_transaction_read_only = on;
-- Nothing may be said for hours on the connection that listens.
select exists (select from pg_settings where name = 'idle_session_timeout') as has_timeout \gset
\if :has_timeout
alter role sampler set idle_session_timeout = 0;
\endif
-- Everybody has these rights until they are taken away; the first is gone from PostgreSQL 15 on.
revoke create on schema public from public;
revoke temporary on database :"DBNAME" from public;
grant connect on database :"DBNAME" to sampler;
grant usage on schema public to sampler;
revoke all on all tables in schema public from sampler;
-- With WORKER_CATALOG_COLUMNS it needs those of them, too: start_s, path.
grant select (id, category, status, split, duration_s) on audio_chunks to sampler;
commit;
