-- Lives in every application's database: refuses to take away what the running version may still use.
-- Only the migrating role (its name ends in _migrate) is held to it; nothing an application does at run time is.

create schema if not exists prodsprints_expand;

create table if not exists prodsprints_expand.fence (
  one   boolean primary key default true check (one),
  token bigint not null default 0
);
insert into prodsprints_expand.fence default values on conflict do nothing;

create or replace view prodsprints_expand.now_there as
  select c.oid as relation, a.attnum as number, n.nspname || '.' || c.relname as table_name, a.attname as column_name,
         format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
  where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
    and n.nspname !~ '^(pg_|information_schema|prodsprints_expand)';

create table if not exists prodsprints_expand.was_there (like prodsprints_expand.now_there);

create or replace function prodsprints_expand.remember() returns void language sql as $$
  truncate prodsprints_expand.was_there;
  insert into prodsprints_expand.was_there select * from prodsprints_expand.now_there;
$$;

create or replace function prodsprints_expand.refuse_contraction() returns event_trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare lost record;
begin
  if session_user !~ '^app_[0-9a-f]{32}_migrate$' then return; end if;
  select was.table_name, was.column_name,
         case when now.column_name is null then 'is gone or renamed'
              when now.type <> was.type then format('changes its type from %s to %s', was.type, now.type)
              else 'becomes NOT NULL' end as what
    into lost
    from prodsprints_expand.was_there was
    left join prodsprints_expand.now_there now
      on now.table_name = was.table_name and now.column_name = was.column_name
   where now.column_name is null or now.type <> was.type or (now.required and not was.required)
   limit 1;
  if found then
    raise exception 'expand-only: % of % %', lost.column_name, lost.table_name, lost.what
      using hint = 'The version that serves now may still use it. Add first, release, and remove in a later release.',
            errcode = 'raise_exception';
  end if;
end $$;

do $$
begin
  if not exists (select from pg_event_trigger where evtname = 'prodsprints_expand_only') then
    create event trigger prodsprints_expand_only on ddl_command_end execute function prodsprints_expand.refuse_contraction();
    create event trigger prodsprints_expand_only_drop on sql_drop execute function prodsprints_expand.refuse_contraction();
  end if;
end $$;
