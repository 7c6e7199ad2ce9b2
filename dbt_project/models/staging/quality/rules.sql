with

rules as (
    {{ rules_as_rows() }}
)

select * from rules
