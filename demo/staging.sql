-- A second database on the same server: smaller, and with nobody's rights but its owner's.

select setseed(0.314159);
set jit = off;

create table public.features (name text primary key, enabled boolean not null default false);
insert into public.features values ('new checkout', true), ('{{ braces }}', false), ('quotes '' and "', true);

create table public.requests (id bigint generated always as identity primary key, path text, took interval, answer text);
insert into public.requests (path, took, answer)
select '/product/' || (random() * 1500)::int, random() * interval '1 second', md5(random()::text) || md5(random()::text)
  from generate_series(1, 30000);
