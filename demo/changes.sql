-- A day in the shop, between the two backups.

select setseed(0.577215);
set jit = off;
set client_min_messages = warning;

create table public.orders_2026_01 partition of public.orders for values from ('2026-01-01') to ('2026-02-01');
insert into public.orders (placed_at, customer, status, total, note)
select timestamptz '2026-01-01 00:00:00+00' + random() * interval '30 days', 1000 + 7 * floor(random() * 10000)::int, 'new',
       round((5 + random() * 900)::numeric, 2), md5(random()::text)
  from generate_series(1, 2500);
update public.orders set status = 'shipped' where status = 'paid' and placed_at >= '2025-12-01';
update catalogue.products set price = round(price * 1.04, 2) where id % 10 = 0;
delete from public.payments where paid_at < '2024-02-01';

create table public.gift_cards (id int generated always as identity primary key, code text unique, worth numeric(8, 2));
insert into public.gift_cards (code, worth) select md5('gift' || i), i % 50 + 5 from generate_series(1, 1200) as i;
grant select on public.gift_cards to shop_app;

insert into public.documents (title, content) values ('terms {2026}.pdf', lo_from_bytea(0, 'The new terms; nobody reads them.'));
select lo_put(content, 4096, 'a correction in the middle') from public.documents where id = 7;
refresh materialized view catalogue.sales;
