{#
One end of the Wilson score interval of a proportion (numeric, ten decimals; null where there are
no trials, or where the successes are no part of them): E. B. Wilson, "Probable inference, the law
of succession, and statistical inference", Journal of the American Statistical Association 22
(1927).

z is the normal quantile of the level; sign is '-' for the lower end and '+' for the upper.
#}
{% macro wilson_bound(successes, trials, z, sign) -%}
    {%- set n = '(' ~ trials ~ ')::double precision' -%}
    {%- set p = '(' ~ successes ~ ') / ' ~ n -%}
    case
        when {{ trials }} > 0 and {{ successes }} between 0 and {{ trials }} then round(
            least(1, greatest(0,
                ({{ p }} + {{ z }} ^ 2 / (2 * {{ n }})
                {{ sign }} {{ z }} * sqrt(
                    {{ p }} * (1 - {{ p }}) / {{ n }} + {{ z }} ^ 2 / (4 * {{ n }} ^ 2)
                )) / (1 + {{ z }} ^ 2 / {{ n }})
            ))::numeric, 10
        )
    end
{%- endmacro %}
