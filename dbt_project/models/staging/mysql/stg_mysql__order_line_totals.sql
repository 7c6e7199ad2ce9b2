with

lines as (
    {{ survivors('transaction_items', ref('base_mysql__transaction_items')) }}
),

totals as (
    select
        order_id,
        count(*) as line_count,
        case when count(line_total) = count(*) then sum(line_total) end as line_totals
    from lines
    where order_id is not null
    group by order_id
)

select * from totals
