-- Tell the workers which chunks entered or left READY, or changed category, split, place or duration while READY.
-- One notification names up to 200 ids, which as uuids are 7,400 of the 8,000 bytes there are; beyond 100,000 ids
-- in one statement, and on TRUNCATE, a single '*' asks for everything to be read again. The payload is a hint:
-- workers read the rows themselves.
--
-- A statement fires the triggers of the table that it names: each partition and each table that inherits has its own.
-- They are always enabled: sessions with session_replication_role = replica fire no others.

create or replace function sampling_worker_notify() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp -- whatever the writer's session has
as $$
declare
  changed text[];
begin
  -- A listener that reads no more (stopped, or its host frozen) holds up the queue of the whole server, and once that is
  -- full PostgreSQL refuses every commit that notifies. Workers find changes they were not told of at their next reading.
  if pg_notification_queue_usage() > 0.5 then
    return null;
  end if;

  -- What a virtual column holds cannot be read here: with an argument, every row that was written is named.
  if tg_nargs > 0 and tg_op = 'INSERT' then
    changed := array(select id::text from after_rows limit 100001);
  elsif tg_nargs > 0 and tg_op = 'DELETE' then
    changed := array(select id::text from before_rows limit 100001);
  elsif tg_nargs > 0 and tg_op = 'UPDATE' then
    changed := array(select id::text from before_rows union select id::text from after_rows limit 100001);

  -- In capitals: where letters of status are alike in either case, as with citext, 'ready' is READY.
  elsif tg_op = 'INSERT' then
    changed := array(select id::text from after_rows where upper(status::text) = 'READY' limit 100001);
  elsif tg_op = 'DELETE' then
    changed := array(select id::text from before_rows where upper(status::text) = 'READY' limit 100001);
  elsif tg_op = 'UPDATE' then
    changed := array(
      select coalesce(old_row.id, new_row.id)::text
      from before_rows as old_row full join after_rows as new_row on old_row.id = new_row.id
      where (case when upper(old_row.status::text) = 'READY' then concat(old_row.status, ' ', old_row.category) end)
        is distinct from (case when upper(new_row.status::text) = 'READY' then concat(new_row.status, ' ', new_row.category) end)
        or upper(new_row.status::text) = 'READY'
          and row (new_row.duration_s::text, new_row.split::text, new_row.start_s::text, new_row.path::text)
            is distinct from row (old_row.duration_s::text, old_row.split::text, old_row.start_s::text, old_row.path::text)
      limit 100001);
  end if;

  if changed is null or cardinality(changed) > 100000 then
    perform pg_notify('audio_chunks_changed', '*');
  else
    perform pg_notify('audio_chunks_changed', string_agg(id, ','))
    from unnest(changed) with ordinality as named (id, place)
    group by (place - 1) / 200;
  end if;
  return null;
exception when others then
  -- The writer's statement counts for more than naming what it changed.
  raise warning 'sampling_worker_notify: %', sqlerrm;
  perform pg_notify('audio_chunks_changed', '*');
  return null;
end $$;

do $$
declare
  relation regclass;
  argument text;
  event text;
begin
  for relation, argument in
    with recursive tree as (
      select 'audio_chunks'::regclass::oid as oid
      union
      select inhrelid from pg_inherits join tree on inhparent = tree.oid
    )
    select oid, case when exists (
      select from pg_attribute
      where attrelid = oid and attgenerated = 'v' and attname in ('category', 'status', 'duration_s', 'split', 'start_s', 'path')
    ) then '''every row''' else '' end
    from tree join pg_class using (oid) where relkind in ('r', 'p') order by oid
  loop
    execute format($statements$
      create or replace trigger sampling_worker_insert
        after insert on %1$s
        referencing new table as after_rows
        for each statement execute function sampling_worker_notify(%2$s);

      create or replace trigger sampling_worker_update
        after update on %1$s
        referencing old table as before_rows new table as after_rows
        for each statement execute function sampling_worker_notify(%2$s);

      create or replace trigger sampling_worker_delete
        after delete on %1$s
        referencing old table as before_rows
        for each statement execute function sampling_worker_notify(%2$s);

      create or replace trigger sampling_worker_truncate
        after truncate on %1$s
        for each statement execute function sampling_worker_notify(%2$s);
    $statements$, relation, argument);
    foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
      execute format('alter table only %s enable always trigger sampling_worker_%s', relation, event);
    end loop;
  end loop;
end $$;
