{# Fails for each key that occurs twice, or that lacks a part. Marts need no such test: theirs is
   the primary key of their contract, which PostgreSQL holds them to as they are written; nor do
   the tables that nights are added to, which have a unique index. #}
{% test primary_key(model, columns) %}

select
    {{ columns | join(', ') }},
    count(*) as rows_of_key
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1{% for column in columns %} or {{ column }} is null{% endfor %}

{% endtest %}
