with

clean as (
    {{ clean_rows('customer_demographics', ref('base_mysql__customer_demographics')) }}
)

select
    customer_id,
    age_group,
    income_level,
    education_level,
    occupation,
    household_size,
    interests,
    updated_at
from clean
