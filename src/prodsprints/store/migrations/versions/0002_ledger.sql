-- The ledger: what was said, in which order, and what was signed over that order. Rows of the first four tables are only
-- ever added: no role of ours may update or delete them, and what the owner of the database does to them shows in the
-- hashes, the signatures and the witness outside.
--   prodsprints_tenant     adds statements to its own log, and reads it
--   prodsprints_sequencer  gives every statement its place in its tenant's log; sees their digests, not their content

do $$
begin
  if not exists (select from pg_roles where rolname = 'prodsprints_sequencer') then
    create role prodsprints_sequencer nologin nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
end $$;

-- No foreign key from here to `tenants`: eight clients that append would share, and so fight for, a lock on one row.
create table ledger_statements (
  tenant_id        uuid not null default current_tenant(),
  id               bigint generated always as identity primary key,
  digest           bytea not null check (length(digest) = 32),  -- of what was said; said twice is a replay
  envelope         bytea not null check (length(envelope) <= 90000),
  envelope_digest  bytea not null generated always as (sha256(envelope)) stored,
  key_id           text not null check (length(key_id) <= 64),
  staged_at        timestamptz not null default clock_timestamp(),
  unique (tenant_id, digest)
) with (toast_tuple_target = 8160);  -- an envelope is a row's whole use: kept in it, and no time spent on compressing base64

create table ledger_entries (
  tenant_id     uuid not null,
  index         bigint not null check (index >= 0),
  at            timestamptz not null,
  statement_id  bigint not null unique,
  leaf          bytea not null check (length(leaf) = 32),
  primary key (tenant_id, index)
);

-- Roots of full subtrees of 256, 65,536, … leaves: a proof reads a few hundred hashes, not the log.
create table ledger_nodes (
  tenant_id  uuid not null,
  level      smallint not null check (level in (8, 16, 24, 32)),
  number     bigint not null check (number >= 0),
  hash       bytea not null check (length(hash) = 32),
  primary key (tenant_id, level, number)
);

create table ledger_checkpoints (
  tenant_id  uuid not null,
  size       bigint not null check (size > 0),
  at         timestamptz not null,
  note       text not null check (length(note) <= 2000),
  frontier   bytea not null,
  primary key (tenant_id, size)
);

-- Which statements wait for their place. Written in the transaction that adds the statement, and emptied in the one
-- that adds the entry, so that nothing is lost between them; it is no evidence, and the only table that shrinks.
create table ledger_queue (
  tenant_id     uuid not null,
  statement_id  bigint not null,
  primary key (tenant_id, statement_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Names that evidence must not hold, since a person may have them erased: evidence holds the id.
create table people (
  tenant_id   uuid not null default current_tenant() references tenants,
  id          uuid primary key default gen_random_uuid(),
  name        text check (length(name) between 1 and 200),
  created_at  timestamptz not null default now(),
  unique (tenant_id, name)
);

do $$
declare name text;
begin
  foreach name in array array['ledger_statements', 'ledger_entries', 'ledger_nodes', 'ledger_checkpoints',
                              'ledger_queue', 'people'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I to prodsprints_tenant using (tenant_id = current_tenant())', name);
    execute format('grant select on %I to prodsprints_tenant', name);
  end loop;
  foreach name in array array['ledger_statements', 'ledger_entries', 'ledger_nodes', 'ledger_checkpoints',
                              'ledger_queue'] loop
    execute format('create policy sequencer on %I to prodsprints_sequencer using (current_user = ''prodsprints_sequencer'')', name);
  end loop;
end $$;

grant insert (digest, envelope, key_id) on ledger_statements to prodsprints_tenant;
grant insert on ledger_queue to prodsprints_tenant;
grant insert (name), update (name) on people to prodsprints_tenant;

grant select (tenant_id, id, envelope_digest, key_id) on ledger_statements to prodsprints_sequencer;
grant select, insert on ledger_entries, ledger_nodes, ledger_checkpoints to prodsprints_sequencer;
grant select, delete on ledger_queue to prodsprints_sequencer;

-- One round trip and one commit, which is on disk when this returns: the digests of what was not in the log before, in a
-- row. Digests and envelopes come in a row, too, with the envelopes' lengths: that is a quarter of the work of two arrays.
create function ledger_append(tenant uuid, said bytea, signed bytea, lengths int[], signers text[])
returns bytea language plpgsql as $$
declare fresh bytea;
begin
  perform set_config('role', 'prodsprints_tenant', true), set_config('app.tenant', tenant::text, true);
  with added as (
    insert into ledger_statements (digest, envelope, key_id)
    select substring(said from 32 * place::int - 31 for 32), substring(signed from behind::int - length + 1 for length), signer
    from (select length, signer, place, sum(length) over (order by place) as behind
          from unnest(lengths, signers) with ordinality as one (length, signer, place)) as each
    on conflict (tenant_id, digest) do nothing returning id, digest
  ), queued as (
    insert into ledger_queue (tenant_id, statement_id) select tenant, id from added
  )
  select string_agg(digest, '') into fresh from added;
  return coalesce(fresh, '');
end $$;

-- Whose statements wait; asked many times a minute, so in one round trip.
create function ledger_waiting() returns uuid[] language plpgsql as $$
begin
  perform set_config('role', 'prodsprints_sequencer', true);
  return array(select distinct tenant_id from ledger_queue);
end $$;
