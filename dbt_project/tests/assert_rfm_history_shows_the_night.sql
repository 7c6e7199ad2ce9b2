-- Returns customers of the night that customer_rfm_history and customer_rfm do not show alike, and
-- segments of rfm_segment_migration whose customers are not those of customer_rfm.
with

history as (
    select * from {{ ref('customer_rfm_history') }}
    where as_of = {{ as_of() }}
),

customers as (
    select * from {{ ref('customer_rfm') }}
),

moved as (
    select
        to_segment,
        sum(customers) as customers
    from {{ ref('rfm_segment_migration') }}
    where to_segment <> '(no purchase)'
    group by to_segment
),

segments as (
    select
        rfm_segment,
        count(*) as customers
    from customers
    group by rfm_segment
)

select
    customer_id,
    history.rfm_score,
    customers.rfm_score as expected_rfm_score
from history
full outer join customers using (customer_id)
where
    history.rfm_score is distinct from customers.rfm_score
    or history.rfm_segment is distinct from customers.rfm_segment
    or history.monetary_value is distinct from customers.monetary_value
union all
select
    moved.to_segment as customer_id,
    moved.customers::text as rfm_score,
    segments.customers::text as expected_rfm_score
from moved
left join segments on moved.to_segment = segments.rfm_segment
where moved.customers is distinct from segments.customers
