-- Indexes. Those of a table that has rows and no partitions are built before, without holding up its writers; see
-- worker/adapters/postgres/indexes.py. What follows builds all others, and drops those of earlier versions.

do $$
declare
  relation regclass;
  without_split regclass;
begin
  -- Partitions get the indexes of their parent; tables that inherit do not. Names are PostgreSQL's to choose: those of
  -- a table that was swapped for this one are taken.
  for relation in
    with recursive tree as (
      select 'audio_chunks'::regclass::oid as oid
      union
      select inhrelid from pg_inherits join tree on inhparent = tree.oid
    )
    select oid from tree join pg_class using (oid) where not relispartition or oid = 'audio_chunks'::regclass order by oid
  loop
    -- Changed rows are read again by their id.
    if not exists (
      select from pg_index
      where indrelid = relation and indpred is null and indisvalid
        and indkey[0] = (select attnum from pg_attribute where attrelid = indrelid and attname = 'id')
    ) then
      begin
        execute format('create unique index on %s (id)', relation);
      exception when feature_not_supported then -- across partitions, unless the partition key is in it
        execute format('create index on %s (id)', relation);
      end;
    end if;

    -- Reading a small READY part of a large library takes no longer than that part asks for.
    if not exists (
      select from pg_index
      where indrelid = relation and pg_get_expr(indpred, indrelid) like '%READY%' and indisvalid
        and indkey[0] = (select attnum from pg_attribute where attrelid = indrelid and attname = 'id')
        and (select attnum from pg_attribute where attrelid = indrelid and attname = 'split') = any (indkey)
    ) then
      begin
        execute format('create index on %s (id) include (category, split) where status = ''READY''', relation);
      exception when feature_not_supported then -- a virtual column
        raise warning '% gets no index of its READY rows (%), so that reading it takes longer', relation, sqlerrm;
      end;
    end if;
    for without_split in
      select indexrelid from pg_index -- that of earlier versions, which knew no split
      where indrelid = relation and pg_get_expr(indpred, indrelid) like '%READY%' and not indisunique
        and indnkeyatts = 1 and indnatts = 2 and pg_get_indexdef(indexrelid) like '% (id) INCLUDE (category) %'
        and exists (
          select from pg_index
          where indrelid = relation and pg_get_expr(indpred, indrelid) like '%READY%' and indisvalid
            and pg_get_indexdef(indexrelid) like '% (id) INCLUDE (category, split) %'
        )
    loop
      execute format('drop index %s', without_split);
    end loop;
  end loop;
end $$;

-- `catalog import` knows a chunk again by its path and start_s; a whole file has no start_s. Earlier versions knew it by
-- the path alone, which left no room for segments of one file.
do $$
declare
  by_path_alone regclass;
begin
  for by_path_alone in
    select indexrelid from pg_index
    where indrelid = 'audio_chunks'::regclass and indpred is null and indisunique and indnkeyatts = 1
      and indkey[0] = (select attnum from pg_attribute where attrelid = indrelid and attname = 'path')
      and not exists (select from pg_constraint where conindid = indexrelid)
  loop
    execute format('drop index %s', by_path_alone);
  end loop;

  if not exists (
    select from pg_index
    where indrelid = 'audio_chunks'::regclass and indpred is null and indisunique and indisvalid
      and pg_get_indexdef(indexrelid) like '%(path, COALESCE(start_s, %'
  ) then
    create unique index on audio_chunks (path, coalesce(start_s, -1));
  end if;
exception when unique_violation or program_limit_exceeded or feature_not_supported then
  raise warning 'chunks of audio_chunks cannot be known again by path and start_s (%), so `catalog import` will refuse this table; all else works',
    sqlerrm;
end $$;
