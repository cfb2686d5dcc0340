-- The database docfast_staging of drkit's lab, in LATIN1.
set session authorization docfast;
create table "Prüfling" (id int primary key, "Größe" text not null);
insert into "Prüfling" select g, 'Maß ' || g || ' ÄÖÜß' from generate_series(1, 3000) g;
create sequence ticket start 7;
select setval('ticket', 4711);
create table web_document (key text primary key, body text not null, stored timestamptz not null default clock_timestamp());
create view loaded as select 'loaded by the lab'::text as by;
