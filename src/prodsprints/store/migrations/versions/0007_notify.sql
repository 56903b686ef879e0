-- Notifications: the transactional outbox, and what became of each message on its way.
-- Whoever has something to tell adds a row in the transaction that records it: it is told exactly if that commits. A
-- lane is one tenant's audience: one dispatcher at a time holds its lease (`notify:<audience>`), so that order is kept.

create table notifications (
  tenant_id     uuid not null default current_tenant() references tenants,
  id            uuid primary key,
  seq           bigint not null generated always as identity,
  audience      text not null check (audience ~ '^[#@][a-z0-9][a-z0-9_-]{0,39}$'),
  severity      text not null check (severity in ('info', 'warning', 'critical')),
  subject       text not null check (length(subject) between 1 and 200 and subject !~ '[[:cntrl:]]'),
  body          text not null check (length(body) <= 4000),
  dedupe_key    text check (length(dedupe_key) between 1 and 200),
  requested_by  text not null check (length(requested_by) between 1 and 200),
  state         text not null default 'waiting' check (state in ('waiting', 'delivered', 'dead')),
  rounds        integer not null default 0 check (rounds >= 0),  -- how often all of its channels were tried
  refused       text[] not null default '{}',  -- channels that will not take it, whenever they are asked
  due_at        timestamptz,  -- of the next round; null is at once
  reason        text not null default '' check (length(reason) <= 500),
  delivered_by  text,
  created_at    timestamptz not null default clock_timestamp(),
  ended_at      timestamptz,
  unique (tenant_id, id),
  check ((state = 'waiting') = (ended_at is null)),
  check ((state = 'delivered') = (delivered_by is not null))
);
create index notifications_waiting on notifications (tenant_id, audience, seq) where state = 'waiting';
create index notifications_dead on notifications (tenant_id, created_at desc) where state = 'dead';
create index notifications_newest on notifications (tenant_id, created_at desc, id desc);
create index notifications_by_key on notifications (tenant_id, dedupe_key, created_at desc) where dedupe_key is not null;

create table notification_attempts (
  tenant_id        uuid not null default current_tenant(),
  notification_id  uuid not null,
  number           integer not null check (number > 0),
  channel          text not null check (length(channel) between 1 and 40),
  outcome          text not null check (outcome in ('delivered', 'failed', 'refused', 'skipped')),
  words            text not null check (length(words) <= 300),
  seconds          double precision not null check (seconds >= 0),
  at               timestamptz not null default clock_timestamp(),
  primary key (notification_id, number),
  foreign key (tenant_id, notification_id) references notifications (tenant_id, id)
);

do $$
declare name text;
begin
  foreach name in array array['notifications', 'notification_attempts'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I to prodsprints_tenant using (tenant_id = current_tenant())', name);
    execute format('grant select, insert on %I to prodsprints_tenant', name);
  end loop;
end $$;
grant update (state, rounds, refused, due_at, reason, delivered_by, ended_at) on notifications to prodsprints_tenant;

-- The dispatchers' own view: which lanes have something to send; no word of it.
create policy dispatch on notifications to prodsprints_dispatch using (current_user = 'prodsprints_dispatch');
grant select (tenant_id, audience, seq, state, due_at) on notifications to prodsprints_dispatch;

-- The lanes whose first message is due and that nobody but `worker` holds; each look reads one index entry per lane. No
-- wait is as long as an hour, and no lease as a minute: a time further away was written before the clock went back.
create function notification_lanes_due(worker text) returns table (tenant uuid, lane text) language plpgsql as $$
begin
  perform set_config('role', 'prodsprints_dispatch', true);
  return query
  with recursive head as (
    (select n.tenant_id, n.audience, n.due_at from notifications n
     where n.state = 'waiting' order by n.tenant_id, n.audience, n.seq limit 1)
    union all
    select following.* from head, lateral (
      select n.tenant_id, n.audience, n.due_at from notifications n
      where n.state = 'waiting' and (n.tenant_id, n.audience) > (head.tenant_id, head.audience)
      order by n.tenant_id, n.audience, n.seq limit 1) following
  )
  select head.tenant_id, head.audience from head
  where (head.due_at is null or head.due_at <= now() or head.due_at > now() + interval '1 hour')
    and not exists (
      select from leases l where l.tenant_id = head.tenant_id
        and l.resource = 'notify:' || head.audience and l.owner <> worker
        and l.expires_at > now() and l.expires_at <= now() + interval '1 minute');
end $$;

-- What one round came to, in one statement that is its own transaction and on disk when it returns. 'fenced' when the
-- lane has another holder by now, else 'settled'; a message that ended before stays as it is.
create function settle_notification(
  of_tenant uuid, of_notification uuid, lane text, worker text, token bigint,
  came_to text, through text, why text, next_seconds double precision, refusing text[], attempts jsonb
) returns text language plpgsql as $$
begin
  perform set_config('role', 'prodsprints_tenant', true), set_config('app.tenant', of_tenant::text, true);
  if not holds_lease('notify:' || lane, worker, token) then return 'fenced'; end if;
  insert into notification_attempts (notification_id, number, channel, outcome, words, seconds, at)
  select of_notification, known.n + each.place, each.item ->> 'channel', each.item ->> 'outcome', each.item ->> 'words',
         (each.item ->> 'seconds')::float8, clock_timestamp() - make_interval(secs => (each.item ->> 'ago')::float8)
  from jsonb_array_elements(attempts) with ordinality as each (item, place),
       (select coalesce(max(number), 0) as n from notification_attempts where notification_id = of_notification) as known;
  update notifications set
    state = came_to, rounds = rounds + 1, reason = why, delivered_by = through, refused = refusing,
    due_at = case when came_to = 'waiting' then clock_timestamp() + make_interval(secs => next_seconds) end,
    ended_at = case when came_to <> 'waiting' then clock_timestamp() end
  where id = of_notification and state = 'waiting';
  return 'settled';
end $$;
