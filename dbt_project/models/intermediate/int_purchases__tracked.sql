with

purchases as (
    select
        nullif(trim(event_data ->> 'transaction_id'), '') as order_id,
        session_id,
        occurred_at as purchased_at,
        event_id
    from {{ ref('stg_mongo__events') }}
    where
        event_type = 'purchase'
        and occurred_at < {{ as_of_start() }}
        and session_id is not null
),

orders as (
    select order_id from {{ ref('int_orders__enriched') }}
),

known as (
    select purchases.*
    from purchases
    inner join orders on purchases.order_id = orders.order_id
),

-- A page that is loaded again tells of the same order again.
ranked as (
    select
        *,
        row_number() over (
            partition by order_id order by purchased_at, event_id collate "C"
        ) as telling
    from known
),

final as (
    select
        order_id,
        session_id,
        purchased_at,
        row_number() over (
            partition by session_id order by purchased_at, order_id collate "C"
        ) as purchase_number
    from ranked
    where telling = 1
)

select * from final
