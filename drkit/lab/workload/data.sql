-- The database docfast of drkit's lab: a few megabytes of generated data, the same each time, with what makes dumps
-- difficult. Loaded in one transaction; the table web_document is the application's.
select setseed(0.42);
create extension pg_trgm;
create extension citext with schema public;
set session authorization docfast;
create schema "Archiv & Ablage";
create table account (
    id bigint generated always as identity primary key,
    email citext not null unique,
    name text not null,
    settings jsonb not null default '{}',
    created timestamptz not null
);
insert into account (email, name, settings, created)
select format('user.%s@example.test', g), (array['Zoë', 'Łukasz', '孔子', 'Ωmega', 'O''Brien', 'Σίσυφος'])[1 + g % 6] || ' ' || g,
    jsonb_build_object('locale', (array['de', 'en', 'el'])[1 + g % 3], 'quota', g * 1000),
    timestamptz '2025-01-01 00:00:00+00' + g * interval '1 hour'
from generate_series(1, 2000) g;
create table document (
    id bigint generated always as identity,
    account bigint not null references account,
    title text not null,
    body text not null,
    digest bytea not null,
    created date not null,
    primary key (id, created)
) partition by range (created);
create table document_2025h1 partition of document for values from ('2025-01-01') to ('2025-07-01');
create table document_2025h2 partition of document for values from ('2025-07-01') to ('2026-01-01');
create table document_rest partition of document default;
insert into document (account, title, body, digest, created)
select 1 + g % 2000, 'Document № ' || g, repeat(md5(g::text) || ' ', 4 + g % 12), decode(md5('d' || g), 'hex'),
    date '2025-01-01' + g % 500
from generate_series(1, 12000) g;
create index document_title on document using gin (title gin_trgm_ops);
create sequence "Rechnungs-Nr" start 100042 increment 7 cache 1;
create table "Archiv & Ablage"."Rechnung ""2025""" (
    "Nr." bigint primary key default nextval('"Rechnungs-Nr"'),
    "Betrag (€)" numeric(12, 2) not null,
    "Notiz;--" text
);
insert into "Archiv & Ablage"."Rechnung ""2025""" ("Betrag (€)", "Notiz;--")
select g * 1.19, case g % 3 when 0 then null when 1 then E'Zeile 1\nZeile 2\t\\ "x"' else 'plain' end from generate_series(1, 500) g;
create table scan (id int primary key, content oid not null);
insert into scan select g, lo_from_bytea(0, decode(repeat(md5(g::text), 2000), 'hex')) from generate_series(1, 20) g;
create type state as enum ('draft', 'in review', 'published');
create table revision (document bigint, created date, state state not null default 'draft', note text,
    foreign key (document, created) references document (id, created));
insert into revision select id, created, (array['draft', 'in review', 'published']::state[])[1 + id % 3], 'r' from document where id % 4 = 0;
create view published as select d.id, d.title from document d join revision r on (r.document, r.created) = (d.id, d.created)
    where r.state = 'published';
create materialized view per_account as select account, count(*) as documents from document group by account;
create function touch() returns trigger language plpgsql as $$ begin new.created := coalesce(new.created, now()); return new; end $$;
create trigger touch before insert on account for each row execute function touch();
create table web_document (key text primary key, body text not null, stored timestamptz not null default clock_timestamp());
grant select on all tables in schema public to "Berichte & Export";
create view loaded as select 'loaded by the lab'::text as by;
