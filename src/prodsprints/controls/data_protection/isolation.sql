-- Every way in which this schema would let one tenant reach the rows of another, as (place, gap); no row if there is none.
-- Looked at are all tables of tenants, and whatever else is ours and one of our roles can reach; not what extensions or
-- others keep in the same database. Also readable by hand: psql -f.
--   ours     the roles that the product acts in; a login becomes one of them for a transaction
--   shown    which columns the roles that act for no tenant may see: ids, states and times, but for what stands here

with ours as (
  select oid, rolname, rolname = 'prodsprints_tenant' as is_tenant from pg_roles
  where rolname like 'prodsprints\_%' and not rolcanlogin
),
shown (role, place, columns) as (values
  ('prodsprints_dispatch', 'tenants', '{id,name,created_at}'::text[]),
  ('prodsprints_dispatch', 'projects', '{tenant_id,id,deleted_at}'),
  ('prodsprints_dispatch', 'environments', '{tenant_id,id,project_id,node,withdrawn_at}'),
  ('prodsprints_dispatch', 'releases',
   '{tenant_id,id,environment_id,node,status,worker,fencing_token,created_at,started_at}'),
  ('prodsprints_dispatch', 'leases', '{tenant_id,resource,owner,fencing_token,acquired_at,expires_at}'),
  ('prodsprints_dispatch', 'mirrors', '{tenant_id,id}'),
  ('prodsprints_dispatch', 'drill_runs', 
   '{tenant_id,id,row_id,variant,environment,scheduled,status,node,worker,created_at}'),
  ('prodsprints_dispatch', 'notifications', '{tenant_id,audience,seq,state,due_at}'),
  ('prodsprints_dispatch', 'watched_services', '{tenant_id}'),
  ('prodsprints_dispatch', 'quotas', '{tenant_id,id,next_at}'),
  ('prodsprints_dispatch', 'quota_requests', '{tenant_id,id,state,next_at}'),
  ('prodsprints_auth', 'tenants', '{id,name,created_at}'),
  ('prodsprints_auth', 'tokens', '{tenant_id,id,digest,purpose,actor,created_at,expires_at,used_at}'),
  ('prodsprints_sequencer', 'ledger_statements', '{tenant_id,id,envelope_digest,key_id}'),
  ('prodsprints_sequencer', 'ledger_entries', '{tenant_id,index,at,statement_id,leaf}'),
  ('prodsprints_sequencer', 'ledger_nodes', '{tenant_id,level,number,hash}'),
  ('prodsprints_sequencer', 'ledger_checkpoints', '{tenant_id,size,at,note,frontier}'),
  ('prodsprints_sequencer', 'ledger_queue', '{tenant_id,statement_id}')
),
owner as (select relowner as oid from pg_class where oid = 'tenants'::regclass),
relations as (
  select c.oid, c.relname::text as place, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.reloptions,
         tenant.attnum as tenant, format('(%I = current_tenant())', coalesce(tenant.attname, 'tenant_id')) as own
  from pg_class c left join pg_attribute tenant
    on tenant.attrelid = c.oid and not tenant.attisdropped
   and tenant.attname = case c.relname when 'tenants' then 'id' else 'tenant_id' end
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relowner = (select oid from owner)
    and c.relnamespace = (select relnamespace from pg_class where oid = 'tenants'::regclass)
    and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e')
    and c.relname not in  -- the processes themselves, and what they share about providers: no tenant's
        ('workers', 'fleet_workers', 'fleet_buckets', 'fleet_acts', 'fleet_breakers', 'fleet_budgets', 'guard_sightings')
    and (tenant.attnum is not null
         or exists (select from ours where has_any_column_privilege(ours.oid, c.oid, 'select, insert, update, references')
                    or has_table_privilege(ours.oid, c.oid, 'delete, truncate, trigger')))
),
tables as (select * from relations where relkind in ('r', 'p')),
policies as (
  select tables.place, tables.own, polname, coalesce(rolname, 'public') as role, coalesce(is_tenant, false) as is_tenant,
         roles.role <> 0 and ours.oid is null as is_strange,
         pg_get_expr(polqual, polrelid) as sees, pg_get_expr(polwithcheck, polrelid) as writes
  from tables join pg_policy on polrelid = tables.oid and polpermissive
  cross join unnest(polroles) as roles (role) left join ours on ours.oid = roles.role
)

select place, 'it does not say whose its rows are: it has no column tenant_id' as gap from tables where tenant is null
union all
select place, 'its row-level security is not enabled' from tables where not relrowsecurity
union all
select place, 'its row-level security is not forced: the owner of the database sees every row' from tables
where not relforcerowsecurity
union all
select place, format('the policy %s shows %s the rows of others', polname, role) from policies
where is_strange or role = 'public'
   or is_tenant and not (coalesce(sees, own) = own and coalesce(writes, own) = own)
   or not is_tenant and coalesce(sees, writes) not like format('(CURRENT_USER = %L::name)%%', role)
union all
select tables.place, format('a reference from it to %s can lead to the rows of others', confrelid::regclass)
from tables join pg_constraint on conrelid = tables.oid and contype = 'f'
join tables as other on other.oid = confrelid
where array_position(conkey, tables.tenant) is distinct from array_position(confkey, other.tenant)
   or array_position(conkey, tables.tenant) is null
union all
select place, format('%s may empty it, or act in it beside the policies', rolname) from tables join ours
  on has_table_privilege(ours.oid, tables.oid, 'truncate, references, trigger')
union all
select place, 'everybody who can connect has rights to it' from relations left join pg_attribute on attrelid = relations.oid
cross join aclexplode(relacl || attacl) as entry where entry.grantee = 0 group by place
union all
select place, 'it shows what it reads with the rights of its owner' from relations
where relkind in ('m', 'f')
   or relkind = 'v' and not coalesce(reloptions && '{security_invoker=true,security_invoker=on,security_invoker=1}', false)
union all
select tables.place, format('%s sees its column %s', rolname, attname) from tables
join pg_attribute on attrelid = tables.oid and attnum > 0 and not attisdropped
join ours on not is_tenant and has_column_privilege(ours.oid, tables.oid, attname, 'select')
where not exists (select from shown where shown.role = rolname and shown.place = tables.place and attname = any (columns))
union all
select proname, 'it acts with the rights of its owner' from pg_proc
where prosecdef and proowner = (select oid from owner)
  and pronamespace = (select relnamespace from pg_class where oid = 'tenants'::regclass)
  and not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = pg_proc.oid and deptype = 'e')
  and exists (select from ours where has_function_privilege(ours.oid, pg_proc.oid, 'execute'))
union all
select ours.rolname, 'no policy binds it' from ours join pg_roles on pg_roles.oid = ours.oid where rolsuper or rolbypassrls
union all
select ours.rolname, format('it has the rights of %s too', roleid::regrole) from ours join pg_auth_members on member = ours.oid
order by place, gap;
