{#
The chance that a standard normal variable is at most x (double precision; null for null).

Rational approximations of W. J. Cody, "Rational Chebyshev approximations for the error
function", Mathematics of Computation 23 (1969), in the form for the normal distribution of
Cody's ANORM (Algorithm 715, ACM TOMS 19, 1993): the relative error is below 1e-14 in both tails.
The exponential is split (whole sixteenths and the rest) so that its rounding is not magnified.
Beyond 37.5 the tail is below 1e-307, and 0 or 1 is returned; PostgreSQL raises on
underflow, and so the squares of such values, and of those near 0, are not taken.
Coefficients are strings, so that Jinja does not round them.
#}
{% macro normal_cdf(x) -%}
    {%- set a = ['0.065682337918207449113', '2.2352520354606839287', '161.02823106855587881',
        '1067.6894854603709582', '18154.981253343561249'] -%}
    {%- set b = ['1', '47.20258190468824187', '976.09855173777669322', '10260.932208618978205',
        '45507.789335026729956'] -%}
    {%- set c = ['1.0765576773720192317e-8', '0.39894151208813466764', '8.8831497943883759412',
        '93.506656132177855979', '597.27027639480026226', '2494.5375852903726711',
        '6848.1904505362823326', '11602.651437647350124', '9842.7148383839780218'] -%}
    {%- set d = ['1', '22.266688044328115691', '235.38790178262499861', '1519.377599407554805',
        '6485.558298266760755', '18615.571640885098091', '34900.952721145977266',
        '38912.003286093271411', '19685.429676859990727'] -%}
    {%- set p = ['0.02307344176494017303', '0.21589853405795699', '0.1274011611602473639',
        '0.022235277870649807', '0.001421619193227893466', '2.9112874951168792e-5'] -%}
    {%- set q = ['1', '1.28426009614491121', '0.468238212480865118', '0.0659881378689285515',
        '0.00378239633202758244', '7.29751555083966205e-5'] -%}
    (
        select
            case
                when y <= 0.67448975 then
                    0.5 + z * {{ polynomial('z2', a) }} / {{ polynomial('z2', b) }}
                when y > 37.5 then case when z < 0 then 0 else 1 end
                else case when z < 0 then tail else 1 - tail end
            end
        from (
            select
                z,
                y,
                z2,
                case
                    when y <= 0.67448975 or y > 37.5 then null
                    else exp(-0.5 * s * s) * exp(-0.5 * (y - s) * (y + s)) * case
                        when y <= 5.656854249492380195 then
                            {{ polynomial('y', c) }} / {{ polynomial('y', d) }}
                        else (
                            0.398942280401432677939946
                            - {{ polynomial('(1 / z2)', p) }} / {{ polynomial('(1 / z2)', q) }} / z2
                        ) / y
                    end
                end as tail
            from (
                select
                    z,
                    abs(z) as y,
                    case
                        when abs(z) > 37.5 then 1406.25
                        when abs(z) < 1e-20 then 0
                        else z * z
                    end as z2,
                    case when abs(z) > 37.5 then 37.5 else trunc(abs(z) * 16) / 16 end as s
                from (select ({{ x }})::double precision as z) as given
            ) as squared
        ) as tailed
    )
{%- endmacro %}
