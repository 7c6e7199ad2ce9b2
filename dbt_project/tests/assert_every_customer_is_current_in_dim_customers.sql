-- Returns customers that are live in staging and not current in dim_customers, or the reverse.
with

staged as (
    select customer_id from {{ ref('stg_mysql__customers') }}
),

current_versions as (
    select customer_id from {{ ref('dim_customers') }}
    where is_current
)

select
    customer_id,
    staged.customer_id is not null as is_in_staging
from staged
full outer join current_versions using (customer_id)
where staged.customer_id is null or current_versions.customer_id is null
