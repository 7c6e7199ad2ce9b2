-- Returns orders all of whose lines are here, whose net amounts are not what was charged.
select
    orders.order_id,
    orders.total_amount,
    sum(items.net_amount) as net_amount
from {{ ref('fct_orders') }} as orders
inner join {{ ref('fct_order_items') }} as items on orders.order_id = items.order_id
where abs(orders.total_amount + coalesce(orders.discount_amount, 0) - orders.items_total) <= 0.01
group by orders.order_id, orders.total_amount
having sum(items.net_amount) <> orders.total_amount
