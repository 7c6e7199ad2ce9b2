{# Which versions of raw were the live ones on the night of as_of. #}
{% macro live_on_the_night() -%}
    _valid_from <= {{ as_of() }} and (_valid_to is null or _valid_to > {{ as_of() }})
{%- endmacro %}
