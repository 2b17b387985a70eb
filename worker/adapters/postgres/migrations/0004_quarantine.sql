-- Chunks that people took out, as `catalog quarantine` does: who, when and why, and what each chunk was before. The chunk
-- itself is QUARANTINED, so that no worker draws it. A chunk that was released keeps its row. Rows outlive their chunks:
-- an import or a scan that brings the same path and start_s again finds it here.

do $$
declare
  known text;
  wanted text;
begin
  select format_type(atttypid, atttypmod) into wanted
  from pg_attribute where attrelid = 'audio_chunks'::regclass and attname = 'id';
  select format_type(atttypid, atttypmod) into known
  from pg_attribute where attrelid = to_regclass('chunk_quarantine') and attname = 'chunk_id';
  if known <> wanted then -- another table was swapped for audio_chunks: these ids say nothing any more
    execute format('alter table chunk_quarantine rename to %I', 'chunk_quarantine_by_' || known);
  end if;

  if to_regclass('chunk_quarantine') is null then
    create table chunk_quarantine as
      select id as chunk_id, path, start_s, status as status_before, error as error_before from audio_chunks with no data;
    alter table chunk_quarantine
      add column number bigint generated always as identity primary key,
      add column reason text not null,
      add column who text not null,
      add column quarantined_at timestamptz not null default now(),
      add column released_at timestamptz, -- null: it is still taken out
      add column released_by text,
      alter column chunk_id set not null,
      alter column status_before set not null;
    create unique index on chunk_quarantine (chunk_id) where released_at is null;
    create index on chunk_quarantine (path) where released_at is null;
  end if;
end $$;

-- A check that `migrate` itself has made gets the new status. One of the library's owner stays as it is.
-- Every row fits it, as it fitted the narrower one; the next migration lets PostgreSQL know, and holds up nobody.
do $$
declare
  narrower name;
begin
  for narrower in
    select conname from pg_constraint
    where conrelid = 'audio_chunks'::regclass and contype = 'c' and coninhcount = 0 and pg_get_constraintdef(oid) =
      'CHECK ((status = ANY (ARRAY[''PENDING''::text, ''PROCESSING''::text, ''READY''::text, ''FAILED''::text])))'
  loop
    execute format($statement$
      alter table audio_chunks drop constraint %1$I, add constraint %1$I
        check (status in ('PENDING', 'PROCESSING', 'READY', 'FAILED', 'QUARANTINED')) not valid
    $statement$, narrower);
  end loop;
end $$;
