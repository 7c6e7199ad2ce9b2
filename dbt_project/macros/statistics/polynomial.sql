{# A polynomial in x by Horner's rule; coefficients from the highest power to the constant. #}
{% macro polynomial(x, coefficients) -%}
    {%- set steps = namespace(sql=coefficients[0]) -%}
    {%- for coefficient in coefficients[1:] -%}
        {%- set steps.sql = '(' ~ steps.sql ~ ') * ' ~ x ~ ' + ' ~ coefficient -%}
    {%- endfor -%}
    ({{ steps.sql }})
{%- endmacro %}
