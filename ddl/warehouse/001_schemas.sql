-- The warehouse's schemas, who owns them, and who may read what is made in them later.
-- The five roles exist before this file runs (ddl/roles.py): they belong to the cluster,
-- not to this database.

create schema raw_mysql authorization amato_loader;
create schema raw_postgres authorization amato_loader;
create schema raw_mongo authorization amato_loader;
create schema elt authorization amato_loader;
create schema staging authorization amato_transformer;
create schema intermediate authorization amato_transformer;
create schema marts authorization amato_transformer;
create schema quality authorization amato_transformer;
create schema ml authorization amato_scientist;

-- PUBLIC gets nothing, and the roles may connect and use temporary tables. Only the
-- database's owner can say so; where it is somebody else's, its owner's rules hold.
do $$
begin
    if (
        select pg_has_role(datdba, 'usage')
        from pg_database
        where datname = current_database()
    ) then
        execute format('revoke all on database %I from public', current_database());
        execute format(
            'grant connect, temporary on database %I to '
            'amato_loader, amato_transformer, amato_validator, amato_scientist, amato_reader',
            current_database()
        );
        revoke all on schema public from public;
    end if;
end
$$;

-- What the loader makes.
grant usage on schema raw_mysql, raw_postgres, raw_mongo, elt
to amato_transformer, amato_validator;
alter default privileges for role amato_loader
in schema raw_mysql, raw_postgres, raw_mongo, elt
grant select on tables to amato_transformer, amato_validator;

-- What the transformer makes.
grant usage on schema staging, intermediate, marts, quality to amato_validator;
alter default privileges for role amato_transformer
in schema staging, intermediate, marts, quality
grant select on tables to amato_validator;

grant usage on schema marts to amato_scientist, amato_reader;
alter default privileges for role amato_transformer
in schema marts
grant select on tables to amato_scientist, amato_reader;

grant usage on schema quality to amato_reader;
alter default privileges for role amato_transformer
in schema quality
grant select on tables to amato_reader;

-- What the validator makes: its results.
alter default privileges for role amato_validator
in schema quality
grant select on tables to amato_transformer, amato_reader;

-- What the scientist makes.
grant usage on schema ml to amato_validator, amato_reader;
alter default privileges for role amato_scientist
in schema ml
grant select on tables to amato_validator, amato_reader;

-- Which of these files have been applied.
create table elt.amato_migrations (
    name text primary key,
    sha256 text not null
);
