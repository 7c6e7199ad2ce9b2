-- Returns orders that staging has, that are not in the future, and that fct_orders lacks.
select staged.order_id
from {{ ref('stg_mysql__transactions') }} as staged
left join {{ ref('fct_orders') }} as orders on staged.order_id = orders.order_id
where
    orders.order_id is null
    and (staged.order_date < {{ as_of_start() }} or staged.order_date is null)
