-- Look whether all rows fit the check of 0004. Rows can be read and written meanwhile.

do $$
declare
  wider name;
begin
  for wider in
    select conname from pg_constraint
    where conrelid = 'audio_chunks'::regclass and contype = 'c' and not convalidated
      and pg_get_constraintdef(oid) like 'CHECK ((status = ANY %''QUARANTINED''::text%NOT VALID'
  loop
    execute format('alter table audio_chunks validate constraint %I', wider);
  end loop;
end $$;
