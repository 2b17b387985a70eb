-- The role `curator`, for `sampling-worker catalog quarantine` and `catalog release`: it takes chunks out and puts them back.
-- Run by psql, by who owns audio_chunks and may create roles, after each `sampling-worker migrate` that made a table;
-- the role's password is the first line of standard input:
--
--   psql "$OWNER_URL" --file deploy/curator.sql < curator_password
--
-- By SQL it may give a chunk any status: `catalog quarantine --list` shows a chunk that is out and has another one.
\set ON_ERROR_STOP on
\prompt 'Password of the role curator: ' password
begin;
select not exists (select from pg_roles where rolname = 'curator') as is_missing \gset
\if :is_missing
create role curator;
\endif
alter role curator login noinherit password :'password';
-- A role that was just made can do none of this. Only a superuser may say so, and managed servers have none for you.
select rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls as can_more
from pg_roles where rolname = 'curator' \gset
\if :can_more
alter role curator nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
\endif
-- Everybody has these rights until they are taken away; the first is gone from PostgreSQL 15 on.
revoke create on schema public from public;
revoke temporary on database :"DBNAME" from public;
grant connect on database :"DBNAME" to curator;
grant usage on schema public to curator;
revoke all on all tables in schema public from curator;
grant select (id, path, start_s, status, error), update (status, error) on audio_chunks to curator;
grant
  select,
  insert (chunk_id, path, start_s, status_before, error_before, reason, who),
  update (status_before, error_before, reason, who, quarantined_at, released_at, released_by)
on chunk_quarantine to curator;
commit;
