{# Fails for each row on which the condition is false or null. #}
{% test holds(model, condition) %}

select *
from {{ model }}
where ({{ condition }}) is not true

{% endtest %}
