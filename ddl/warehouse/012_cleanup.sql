-- What staging repairs values with. The loader puts a value that does not fit its column into
-- _extra, as canonical Extended JSON; these functions read it where its meaning is certain, and
-- return null where it is not: an odd value must never stop a build. They are not parallel safe:
-- catching an error takes a subtransaction, and parallel queries have none.
set local role amato_transformer;

-- The text: a string, a whole number, or UTF-8 bytes (subtype 80: a text with NUL, which
-- PostgreSQL cannot hold) without their NULs. In bytea's escape format NUL is \000, and a
-- backslash is doubled, so that one before "000" is told apart.
create function staging.extra_text(value jsonb) returns text
language plpgsql immutable strict as $$
begin
    if jsonb_typeof(value) = 'string' then
        return value #>> '{}';
    elsif value #>> '{$binary,subType}' = '80' then
        return convert_from(
            decode(
                regexp_replace(
                    encode(decode(value #>> '{$binary,base64}', 'base64'), 'escape'),
                    '(\\\\)|\\000', '\1', 'g'
                ),
                'escape'
            ),
            'UTF8'
        );
    end if;
    return coalesce(value ->> '$numberInt', value ->> '$numberLong');
exception
    when data_exception then
        return null;
end
$$;

-- The number: of any numeric type, or written as text. Null where it is over the limit or has
-- more decimals than the scale: rounding it would not be a repair.
create function staging.extra_number(value jsonb, max_scale integer, max_value numeric)
returns numeric
language plpgsql immutable strict as $$
declare
    digits text := coalesce(
        staging.extra_text(value), value ->> '$numberDecimal', value ->> '$numberDouble'
    );
    number numeric;
begin
    if digits !~ '^\s*[-+]?[0-9]+(\.[0-9]+)?\s*$' then
        return null;
    end if;
    number := digits::numeric;
    if abs(number) > max_value or min_scale(number) > max_scale then
        return null;
    end if;
    return number;
exception
    when data_exception then
        return null;
end
$$;

-- The moment: an ISO 8601 text, UTC where it names no zone.
create function staging.extra_time(value jsonb) returns timestamptz
language plpgsql immutable strict set timezone = 'UTC' as $$
begin
    if value #>> '{}' ~ (
        '^[0-9]{4}-[0-9]{2}-[0-9]{2}'
        '([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[-+][0-9]{2}(:?[0-9]{2})?)?)?$'
    ) then
        return (value #>> '{}')::timestamptz;
    end if;
    return null;
exception
    when data_exception then
        return null;
end
$$;

-- The nested value: an object or array that was sent as text.
create function staging.extra_json(value jsonb) returns jsonb
language plpgsql immutable strict as $$
declare
    parsed jsonb;
begin
    if jsonb_typeof(value) = 'string' then
        parsed := (value #>> '{}')::jsonb;
        if jsonb_typeof(parsed) in ('object', 'array') then
            return parsed;
        end if;
    end if;
    return null;
exception
    when data_exception then
        return null;
end
$$;

-- The text, with UTF-8 that somebody read as Latin-1 or Windows-1252 ("GÃ¼nther") put right.
-- Only a text that is valid UTF-8 as a whole once its characters are bytes again is changed.
create function staging.mended_encoding(value text) returns text
language plpgsql immutable strict as $$
begin
    -- A lead byte as a character, with at least one more behind it that is not ASCII.
    if value !~ '[Â-ô][^\x01-\x7f]' then
        return value;
    end if;
    begin
        return convert_from(convert_to(value, 'LATIN1'), 'UTF8');
    exception
        when data_exception then
            return convert_from(convert_to(value, 'WIN1252'), 'UTF8');
    end;
exception
    when data_exception then
        return value;
end
$$;

reset role;
