with

spans as (
    select * from {{ ref('int_customers__versioned') }}
),

versions as (
    select * from {{ ref('stg_mysql__customer_versions') }}
),

customers as (
    select
        md5(spans.customer_id || '|' || to_char(spans.valid_from, 'YYYY-MM-DD')) as customer_key,
        spans.customer_id,
        versions.email,
        versions.first_name,
        versions.last_name,
        versions.phone,
        versions.date_of_birth,
        versions.gender,
        versions.address,
        versions.city,
        versions.state,
        versions.country,
        versions.postal_code,
        versions.registration_date,
        versions.is_active,
        versions.created_at,
        versions.updated_at,
        spans.valid_from,
        spans.valid_to,
        spans.valid_to is null as is_current
    from spans
    inner join versions
        on
            spans.source_row_id = versions.source_row_id
            and spans.source_valid_from = versions.valid_from
)

select * from customers
